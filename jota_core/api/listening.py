"""What doors that listen have in common: addresses, and who knocks with wrong keys."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_address, ip_network
from time import monotonic

from .errors import Code, Refused

ADDRESSES = 4096
"""So many addresses with wrong keys are remembered; beyond, the oldest are forgotten."""
WINDOW_S = 60.0


def split_listen(listen: str) -> tuple[str, int]:
    """`127.0.0.1:8000`, `[::1]:8000` or `:8000` as host and port. Raises `ValueError`."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{listen!r} is not an address with a port, such as 127.0.0.1:8000")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"write IPv6 addresses in brackets, such as [::1]:{port}")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class WrongKeys:
    """Counts wrong keys per address and minute, in a table of bounded size."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def check(self, address: str | None) -> None:
        """Raises `Refused` (`too_many_requests`) for an address that has guessed too often."""
        if not self._seen:
            return
        since, count = self._seen.get(_group(address), (0.0, 0))
        left = since + WINDOW_S - monotonic()
        if count >= self._limit and left > 0:
            raise Refused(
                Code.TOO_MANY_REQUESTS,
                f"Too many wrong keys came from this address. Try again in {left:.0f} s.",
                retry_after_s=round(left, 1),
            )

    def count(self, address: str | None) -> float:
        """Note a wrong key; returns for how many seconds its sender should wait."""
        group, now = _group(address), monotonic()
        since, count = self._seen.pop(group, (now, 0))
        if now - since >= WINDOW_S:
            since, count = now, 0
        self._seen[group] = (since, count + 1)
        if len(self._seen) > ADDRESSES:
            self._seen.popitem(last=False)
        return float(min(0.05 * 2**count, 1.0))


def _group(address: str | None) -> str:
    """IPv6 hosts own a whole /64 and could change address with each guess."""
    if address is None or ":" not in address:
        return address or "local"
    return str(ip_network((ip_address(address.partition("%")[0]), 64), strict=False))
