"""Static keys: looked up in constant time."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest

from jota_core.api import Code, Credentials, Principal, Refused

from .settings import HttpSettings, KeySettings


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
