"""What `jota.yaml` may say in a section of this plugin."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from jota_core.api import BROKER, DISCOVER, Far, Settings, is_loopback

from .wire.topics import NODE_ID

PORTS = {"mqtt": 1883, "mqtts": 8883}


class MqttSettings(Settings):
    """A door for edge nodes over an MQTT broker."""

    broker: str = "mqtt://127.0.0.1:1883"
    """Where the broker listens: `mqtt://host:port`, or `mqtts://` for TLS; `discover` looks on the LAN."""
    pin: str | None = None
    """With `discover`: only the broker with this name (`cellar` is cellar.local); needed with a password."""
    embedded: bool = False
    """Run the broker in the box at that address; loopback only, MQTT 3.1.1."""
    anonymous: bool = True
    """Whether programs on this machine may use the broker in the box without a password. With false its
    user `jota` and a password made at first start are needed; they stand in `mqtt/broker.toml` of the
    data folder."""
    username: str | None = None
    """User at the broker."""
    password: SecretStr | None = None
    """Its password."""
    ca_file: Path | None = None
    """Certificate authority of the broker, where the system does not know it."""
    host: str | None = None
    """Name of this host on the broker (`[a-z0-9-]`); without one it is made once and kept."""
    user: str = "api_user"
    """Whose conversations those of the nodes are; a node may have another one."""
    approve_new: bool = False
    """Take new nodes without asking; only with a broker that knows who they are."""
    speaks: bool = True
    """Say answers aloud on nodes that can play sound."""
    home_assistant: bool = True
    """Announce nodes to Home Assistant."""
    home_assistant_prefix: str = "homeassistant"
    """Its discovery prefix."""
    older_topics: bool = False
    """Answer `jota/stt` at `jota/response/<client>` too, as deployments of before did."""
    password_file: Path | None = None
    """A Mosquitto password file that is ours: approved nodes get a line there, revoked ones lose it."""
    deltas_per_second: Annotated[float, Field(gt=0, le=1000)] = 30.0
    """Pieces of an answer that one node is sent; smaller ones are put together."""
    max_nodes: Annotated[int, Field(ge=1, le=10_000)] = 5000
    """Nodes that are known, those that wait for approval among them."""

    @field_validator("broker")
    @classmethod
    def _address(cls, value: str) -> str:
        if value == DISCOVER:
            return value
        parts = urlsplit(value)
        if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.username:
            raise ValueError("write mqtt://host:port or mqtts://host:port; user and password stand apart")
        _ = parts.port  # raises for what is no port
        return value

    @field_validator("host")
    @classmethod
    def _named(cls, value: str | None) -> str | None:
        if value is not None and not NODE_ID.fullmatch(value):
            raise ValueError("a host's name has 1 to 64 of a-z, 0-9 and -")
        return value

    @model_validator(mode="after")
    def _boxed(self) -> MqttSettings:
        if self.far.is_discovered and self.password and not self.pin:
            raise ValueError(
                "`broker: discover` with a password needs `pin`: a broker cannot prove who it is, so the "
                "password goes only to one that you named"
            )
        if self.embedded and (self.is_tls or not is_loopback(self.hostname)):
            raise ValueError(
                "the broker in the box is for this machine only: `broker: mqtt://127.0.0.1:1883`; for others "
                "run Mosquitto (config/mosquitto)"
            )
        return self

    @cached_property
    def far(self) -> Far:
        """What to connect to."""
        return Far(self.broker, BROKER, ("mqtt", "mqtts"), self.port, self.pin)

    @cached_property
    def _parts(self) -> SplitResult:
        return urlsplit(self.broker)

    @property
    def is_tls(self) -> bool:
        """Whether the line is encrypted."""
        return self._parts.scheme == "mqtts"

    @property
    def hostname(self) -> str:
        """Machine of the broker."""
        return self._parts.hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        return self._parts.port or PORTS.get(self._parts.scheme, PORTS["mqtt"])
