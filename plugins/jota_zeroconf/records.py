"""From multicast DNS to service records and back; what is malformed becomes a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from zeroconf.asyncio import AsyncServiceInfo

from jota_core.api import INFERENCE, MEMORY, TRANSCRIPTION, LanOffer, ServiceRecord

LONGEST_TXT = 1300
LONGEST_VALUE = 255
DOMAIN = ".local."
PROVEN = (INFERENCE, TRANSCRIPTION, MEMORY)
"""Types of services that are sent a key once they have proved to know it."""
ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9-]{1,63})*")


def record_of(info: AsyncServiceInfo) -> ServiceRecord:
    """What an announcement says. Raises `ValueError` with the reason for one that is malformed."""
    if len(info.text or b"") > LONGEST_TXT:
        raise ValueError("its TXT record is too long")
    kind = info.type.removesuffix(DOMAIN)
    name = info.name.removesuffix(f".{info.type}")
    host = (info.server or "").rstrip(".")
    if not info.port or not HOST.fullmatch(host):
        raise ValueError("it has no usable host and port")
    txt = _decoded(info.properties)
    told = txt.get("id", "")
    if told and not ID.fullmatch(told):
        raise ValueError("its id is none")
    if kind.startswith("_jota") and not told:
        raise ValueError("it has no id")
    if kind in PROVEN:
        _check_proven(host, txt)
    addresses = best_first(info.parsed_scoped_addresses())
    if not addresses:
        raise ValueError("it has no address")
    return ServiceRecord(kind, told or name.lower(), name, host.lower(), addresses, info.port, txt)


def _check_proven(host: str, txt: Mapping[str, str]) -> None:
    """A proof is of an address. A name that others resolve, or a certificate's, would lead elsewhere."""
    if not host.lower().endswith(".local"):
        raise ValueError("its host is not in .local")
    if txt.get("tls", "0") != "0":
        raise ValueError("it wants TLS, where no proof can be asked for: name it in `url:`")


def _decoded(properties: Mapping[bytes, bytes | None]) -> dict[str, str]:
    try:
        return {key.decode("ascii").lower(): (value or b"").decode() for key, value in properties.items()}
    except UnicodeDecodeError:
        raise ValueError("its TXT record is no text") from None


def best_first(addresses: Sequence[str]) -> tuple[str, ...]:
    """Those that are reached from everywhere on the LAN before link-local ones, IPv4 before IPv6."""

    def rank(address: str) -> tuple[bool, bool, int]:
        found = _parsed(address)
        return found.is_loopback, found.is_link_local, found.version

    usable = [each for each in addresses if not (_parsed(each).is_unspecified or _parsed(each).is_multicast)]
    return tuple(sorted(dict.fromkeys(usable), key=rank))


def _parsed(address: str) -> IPv4Address | IPv6Address:
    return ip_address(address.partition("%")[0])


def info_of(offer: LanOffer, host: str, own_id: str, addresses: Sequence[str]) -> AsyncServiceInfo:
    """What is announced for an offer; values that do not fit are left out."""
    kind = f"{offer.kind}{DOMAIN}"
    properties: dict[str | bytes, str | bytes | None] = {"id": own_id}
    properties.update((key, value) for key, value in offer.txt.items() if _fits(key, value))
    return AsyncServiceInfo(
        kind, f"{host}-{own_id[:6]}.{kind}", port=offer.port, properties=properties,
        server=f"{host}{DOMAIN}", parsed_addresses=list(addresses),
    )  # fmt: skip


def _fits(key: str, value: str) -> bool:
    return len(f"{key}={value}".encode()) <= LONGEST_VALUE
