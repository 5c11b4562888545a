"""Keys: made here, shown once, kept as keyed hashes only."""

from __future__ import annotations

import secrets
from hashlib import sha256
from hmac import new

from ..sql.people import secrets as secrets_table
from ..sql.shelf import Shelf
from ..sql.statement import Sql

BITS = 256
_SECRETS = Shelf(secrets_table)
_NAME = "keys"


def new_key() -> str:
    """A key that nobody can guess."""
    return secrets.token_urlsafe(BITS // 8)


class Hasher:
    """Turns keys into what is stored. The secret lies in the database, so that all its hosts share it."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def of(self, key: str) -> str:
        """The keyed hash (HMAC-SHA-256) of a key, in hexadecimal."""
        return new(self._secret, key.encode("utf-8", "surrogatepass"), sha256).hexdigest()

    @classmethod
    def known(cls, sql: Sql) -> Hasher | None:
        """The database's own; None before there was a first key."""
        found = _SECRETS.one(sql, name=_NAME)
        return cls(found["value"]) if found else None

    @classmethod
    def made(cls, sql: Sql) -> Hasher:
        """The database's own, made if there is none."""
        return cls.known(sql) or cls(_SECRETS.add(sql, name=_NAME, value=secrets.token_hex(32))["value"])
