"""What is kept here while the server is away: writes in their order, and who was who."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest, new
from pathlib import Path
from typing import Any

import aiosqlite
import orjson

TABLES = """
PRAGMA journal_mode = wal;
PRAGMA synchronous = full;
CREATE TABLE IF NOT EXISTS spool (
    id INTEGER PRIMARY KEY AUTOINCREMENT, slot TEXT UNIQUE, method TEXT, path TEXT, owner TEXT, body BLOB
);
CREATE TABLE IF NOT EXISTS refused (id INTEGER PRIMARY KEY, path TEXT, owner TEXT, body BLOB, why TEXT);
CREATE TABLE IF NOT EXISTS known (digest BLOB PRIMARY KEY, told BLOB, seen REAL, mac BLOB);
CREATE TABLE IF NOT EXISTS runs (instance TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS self (name TEXT PRIMARY KEY, value TEXT);
"""
MOST_KNOWN = 1000
PAGE = 100


@dataclass(frozen=True, slots=True)
class Write:
    """One request that waits."""

    number: int
    method: str
    path: str
    owner: str
    body: Any


class Spool:
    """One small file of this section's own; every write to it is on the disk when the call returns."""

    def __init__(self, db: aiosqlite.Connection, earlier: Sequence[str], secret: bytes, count: int) -> None:
        self._db = db
        self.instance = secrets.token_hex(16)
        """This run of this host."""
        self.earlier = earlier
        """Runs that are over, and of which the server was not told yet."""
        self._secret = secret
        self.count = count
        """Writes that wait."""

    @classmethod
    async def opened(cls, path: Path) -> Spool:
        """Open it, made if there is none. Raises `sqlite3.Error` and `OSError`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        db = await aiosqlite.connect(path, isolation_level=None)
        try:
            await db.executescript(TABLES)
            given = ("secret", secrets.token_hex(32))
            await db.execute("INSERT INTO self VALUES (?, ?) ON CONFLICT DO NOTHING", given)
            (secret,) = await db.execute_fetchall("SELECT value FROM self WHERE name = 'secret'")
            runs = [row[0] for row in await db.execute_fetchall("SELECT instance FROM runs")]
            (row,) = await db.execute_fetchall("SELECT count(*) FROM spool")
            self = cls(db, runs, bytes.fromhex(secret[0]), int(row[0]))
            await db.execute("INSERT INTO runs VALUES (?)", (self.instance,))
            return self
        except BaseException:
            await db.close()
            raise

    async def put(self, method: str, path: str, owner: str, body: object, slot: str | None = None) -> None:
        """Append a write; one with a `slot` takes the place of the last one in it."""
        given = (slot, method, path, owner, orjson.dumps(body))
        await self._db.execute(
            "INSERT INTO spool (slot, method, path, owner, body) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (slot) DO UPDATE SET body = excluded.body",
            given,
        )
        (row,) = await self._db.execute_fetchall("SELECT count(*) FROM spool")
        self.count = int(row[0])

    async def page(self) -> Sequence[Write]:
        """The oldest that wait, in order."""
        rows = await self._db.execute_fetchall(
            "SELECT id, method, path, owner, body FROM spool ORDER BY id LIMIT ?", (PAGE,)
        )
        return [Write(row[0], row[1], row[2], row[3], orjson.loads(row[4])) for row in rows]

    async def done(self, write: Write, refused: str = "") -> None:
        """The server has it, or never takes it: then it is kept aside with the reason."""
        if refused:
            kept = (write.number, write.path, write.owner, orjson.dumps(write.body), refused)
            await self._db.execute("INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?, ?)", kept)
        await self._db.execute("DELETE FROM spool WHERE id = ?", (write.number,))
        self.count -= 1

    async def told_of(self, instance: str) -> None:
        """The server knows that a run is over."""
        self.earlier = [each for each in self.earlier if each != instance]
        await self._db.execute("DELETE FROM runs WHERE instance = ?", (instance,))

    async def remember(self, key: str, told: object, at: float) -> None:
        """Who holds a key, signed, so that nobody makes friends by writing into the file."""
        digest, data = self._digest(key), orjson.dumps(told)
        given = (digest, data, at, self._mac(digest, data))
        await self._db.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?)", given)
        oldest = "DELETE FROM known WHERE digest NOT IN (SELECT digest FROM known ORDER BY seen DESC LIMIT ?)"
        await self._db.execute(oldest, (MOST_KNOWN,))

    async def known(self, key: str, since: float) -> Any:
        """Who held a key when that was last asked; None when it was before `since`, or never."""
        digest = self._digest(key)
        rows = await self._db.execute_fetchall(
            "SELECT told, mac FROM known WHERE digest = ? AND seen > ?", (digest, since)
        )
        for told, mac in rows:
            if isinstance(told, bytes) and compare_digest(mac, self._mac(digest, told)):
                return orjson.loads(told)
        return None

    async def forget(self, key: str) -> None:
        """The key is worth nothing any more."""
        await self._db.execute("DELETE FROM known WHERE digest = ?", (self._digest(key),))

    async def close(self) -> None:
        """Close the file."""
        await self._db.close()

    def _digest(self, key: str) -> bytes:
        return new(self._secret, key.encode("utf-8", "surrogatepass"), sha256).digest()

    def _mac(self, digest: bytes, told: bytes) -> bytes:
        return new(self._secret, digest + told, sha256).digest()
