"""Static keys of a center: one for each client id, compared in constant time."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest

from jota_core.api import Credentials, Principal

from .settings import CenterSettings

ROLES = frozenset({"service"})


class CenterKeys:
    """Only digests are kept."""

    def __init__(self, settings: CenterSettings) -> None:
        self._digests = {name: _digest(key) for name, key in settings.all_keys.items()}

    def __bool__(self) -> bool:
        return bool(self._digests)

    def principal(self, credentials: Credentials) -> Principal | None:
        """Who this is; None when id and key do not belong together."""
        known = self._digests.get(credentials.user_id or "", _digest(""))
        right = compare_digest(known, _digest(credentials.key or ""))
        if not right or not credentials.key or credentials.user_id not in self._digests:
            return None
        return Principal(credentials.user_id, ROLES)


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
