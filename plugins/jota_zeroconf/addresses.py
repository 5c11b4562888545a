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
    """Where an offer is reached: everywhere, or at the one address that it listens on."""
    if not offer.listen:
        return tuple(addresses)
    listen = ip_address("127.0.0.1" if offer.listen.lower() == "localhost" else offer.listen)
    if listen.is_unspecified:
        # A dual-stack listener takes IPv4 as well; one on 0.0.0.0 takes nothing else.
        return tuple(each for each in addresses if listen.version == 6 or ip_address(each).version == 4)
    return tuple(each for each in addresses if ip_address(each) == listen)
