"""Answers `jota_authenticate` from the store, and remembers for a moment what it found."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from hmac import compare_digest
from time import monotonic
from typing import TYPE_CHECKING

from jota_core.api import Credentials, Principal

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ..sql.store import SqlStore
    from .registry import Identity

KNOWN_S = 5.0
"""A revoked key works for so long still."""
MOST = 4096
SPEAKS_FOR_ITSELF = ("client", "node")
ROLES = {
    "client": frozenset({"chat"}),
    "service": frozenset({"chat", "service"}),
    "node": frozenset({"chat", "node"}),
    "admin": frozenset({"chat", "service", "admin"}),
}


class Authenticator:
    """Keys of the store count at every door."""

    def __init__(self, *service_keys: SecretStr | None) -> None:
        self._services = [_digest(each.get_secret_value()) for each in service_keys if each]
        self._known: OrderedDict[bytes, tuple[float, Identity | None]] = OrderedDict()

    async def principal(self, store: SqlStore, credentials: Credentials) -> Principal | None:
        """Who this is; None for a key that is not ours. Raises `MemoryStoreError` when it cannot be told.

        A client or node speaks for itself, whatever the address says; services and admins for whom they name.
        """
        if not credentials.key:
            return None
        identity = await self.identity(store, credentials.key)
        if identity is None or not identity.is_active:
            return None
        own = identity.kind in SPEAKS_FOR_ITSELF
        owner = identity.id if own else credentials.user_id or identity.id
        return Principal(owner, ROLES[identity.kind])

    async def identity(self, store: SqlStore, key: str) -> Identity | None:
        """Who holds a key."""
        from .registry import Identity, holder

        digest = _digest(key)
        if any(compare_digest(digest, each) for each in self._services):
            return Identity("service", "service", True, {})
        until, identity = self._known.get(digest, (0.0, None))
        if until < monotonic():
            identity = await store.read(lambda sql: holder(sql, key))
            self._known[digest] = (monotonic() + KNOWN_S, identity)
            self._known.move_to_end(digest)
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        return identity

    def forget(self) -> None:
        """Somebody was added, rotated or revoked here."""
        self._known.clear()


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
