"""Static keys: looked up in constant time, and wrong ones counted per address."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from hmac import compare_digest
from ipaddress import ip_address, ip_network
from time import monotonic

from jota_core.api import Code, Credentials, Principal, Refused

from .settings import HttpSettings, KeySettings

ADDRESSES = 4096
"""So many addresses with wrong keys are remembered; beyond, the oldest are forgotten."""
WINDOW_S = 60.0


class StaticKeys:
    """The keys of one section; only their digests are kept."""

    def __init__(self, settings: HttpSettings) -> None:
        self._default_user = settings.default_user
        self._keys = [(_digest(key.key.get_secret_value()), key) for key in settings.keys.values()]

    def principal(self, credentials: Credentials) -> Principal | None:
        """Who holds this key; None when it is not ours. Raises `Refused` (`forbidden`)."""
        if credentials.key is None or (found := self._find(credentials.key)) is None:
            return None
        asked = credentials.user_id
        if found.user is not None and asked not in (None, found.user):
            raise Refused(Code.FORBIDDEN, "This key may not speak for another user than its own.")
        return Principal(found.user or asked or self._default_user, found.roles)

    def _find(self, key: str) -> KeySettings | None:
        """Compares with every key, so that the time tells nothing."""
        digest = _digest(key)
        found = None
        for known, settings in self._keys:
            if compare_digest(known, digest):
                found = settings
        return found


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()


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
