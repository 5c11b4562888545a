"""What `jota.yaml` may say in a section `jota_zeroconf`."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated

from pydantic import Field, field_validator

from jota_core.api import Settings

NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
TYPE = r"^_[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?\._(tcp|udp)$"


class AlsoSettings(Settings):
    """One service that is not Jota's own, such as the Mosquitto of this machine."""

    type: Annotated[str, Field(pattern=TYPE)]
    """As in `_mqtt._tcp`."""
    port: Annotated[int, Field(gt=0, le=65535)]
    """Where it listens."""
    txt: dict[str, str] = Field({})
    """Hints for who looks around; never secrets."""


class ZeroconfSettings(Settings):
    """Finds services on the LAN and announces ours, by multicast DNS."""

    announce: bool = True
    """Announce what this host offers to other machines; never what listens on 127.0.0.1."""
    name: Annotated[str, Field(pattern=NAME)] | None = None
    """What this host is called on the LAN (`greenhouse` is found as greenhouse.local); null takes the
    machine's name."""
    also: tuple[AlsoSettings, ...] = ()
    """Other services of this machine to announce, such as a broker."""
    interfaces: tuple[str, ...] = ()
    """Addresses of this machine to use; none means all but those of loopback and of bridges to containers."""

    @field_validator("interfaces")
    @classmethod
    def _addresses(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            ip_address(value)
        return values
