"""Which addresses this machine has, and on which of them a service can be reached."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address

import ifaddr

from jota_core.api import LanOffer

INNER = re.compile(
    r"docker\d+|docker_gwbridge|br-[0-9a-f]{12}|(cni-)?podman\d+|cni\d+|(virbr|lxcbr|lxdbr|incusbr)\d+"
)
"""Bridges to containers and virtual machines: on other machines their addresses are somebody else's."""


def own_addresses(chosen: Sequence[str]) -> tuple[str, ...]:
    """Those of `interfaces:`, else every one that other machines may reach."""
    found = {_text(each.ip): adapter.name for adapter in ifaddr.get_adapters() for each in adapter.ips}
    if chosen:
        return tuple(each for each in chosen if each in found)
    return tuple(sorted(each for each, name in found.items() if _is_usable(each, name)))


def _text(address: str | tuple[str, int, int]) -> str:
    return address if isinstance(address, str) else address[0].partition("%")[0]


def _is_usable(address: str, adapter: str) -> bool:
    found = ip_address(address)
    is_own = found.is_loopback or (found.version == 6 and found.is_link_local)
    return not (is_own or INNER.fullmatch(adapter))


def reachable(offer: LanOffer, addresses: Sequence[str]) -> tuple[str, ...]:
    """Where an offer is reached: everywhere, or at the one address that it listens on; nowhere by a name."""
    if not offer.listen:
        return tuple(addresses)
    try:
        listen = ip_address(offer.listen)
    except ValueError:
        return ()  # `localhost`, or a name whose address may be any
    if listen.is_unspecified:  # asyncio opens `::` for IPv6 only
        return tuple(each for each in addresses if ip_address(each).version == listen.version)
    return tuple(each for each in addresses if ip_address(each) == listen)
