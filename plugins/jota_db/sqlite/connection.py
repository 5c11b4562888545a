"""Connections to the file: one thread each, pragmas set, work done in one hop."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import aiosqlite
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from ..sql.connection import Connection
from ..sql.statement import Place, Row, Rows, Sql, Statement
from .lending import Lending

T = TypeVar("T")
DIALECT = SQLiteDialect_pysqlite(paramstyle="qmark")
BUSY_S = 2.0
"""How long a statement waits for another program that holds the file."""
PRAGMAS = (
    "journal_mode = wal",
    "synchronous = full",  # a commit returns when it is on the disk
    "foreign_keys = on",
    "secure_delete = on",
    "journal_size_limit = 16777216",
    "temp_store = memory",
)


class SqliteSql(Sql):
    """Statements on one `sqlite3` connection; only inside that connection's thread."""

    __slots__ = ("_numbers", "raw")

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self._numbers: Iterator[int] = itertools.count(1)

    def all(self, statement: Statement, given: Row) -> list[Any]:
        """See `Sql`."""
        compiled = statement.on(DIALECT)
        return self.raw.execute(compiled.sql, compiled.values(given)).fetchall()

    def change(self, statement: Statement, given: Row) -> int:
        """See `Sql`."""
        compiled = statement.on(DIALECT)
        return self.raw.execute(compiled.sql, compiled.values(given)).rowcount

    def insert(self, statement: Rows, rows: Sequence[Row]) -> None:
        """See `Sql`."""
        for sql, values in statement.chunks(DIALECT, rows):
            self.raw.execute(sql, values)

    def say(self, words: str) -> None:
        """See `Sql`."""
        self.raw.execute(words)

    @property
    def in_transaction(self) -> bool:
        """See `Sql`."""
        return self.raw.in_transaction

    def numbers(self, count: int) -> list[int]:
        """See `Sql`; this process is the file's only writer of turns."""
        return [next(self._numbers) for _ in range(count)]

    def index(self, entries: Sequence[tuple[Place, Sequence[str]]]) -> None:
        """See `Sql`."""
        given = [(seq * 2 + position, " ".join(words)) for (seq, position), words in entries]
        if given:
            self.raw.executemany("INSERT OR REPLACE INTO message_search (rowid, words) VALUES (?, ?)", given)

    def has_words(self) -> bool:
        """See `Sql`."""
        return self.raw.execute("SELECT rowid FROM message_search LIMIT 1").fetchone() is not None

    def search(self, owner: str, words: Sequence[str], limit: int) -> list[Place]:
        """See `Sql`."""
        asked = " AND ".join([f'"{owner}"', *(f'"{word}"*' for word in words)])
        found = self.raw.execute(
            "SELECT rowid FROM message_search WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?", (asked, limit)
        )
        return [(row[0] >> 1, row[0] & 1) for row in found]

    def count_on(self, number: int, conversation: int) -> None:
        """See `Sql`; SQLite itself counts conversations."""
        self._numbers = itertools.count(number + 1)

    def pragma(self, text: str) -> list[Any]:
        """Run a pragma; returns its rows."""
        return self.raw.execute(f"PRAGMA {text}").fetchall()


class SqliteConnection(Connection):
    """One aiosqlite connection."""

    def __init__(self, aio: aiosqlite.Connection) -> None:
        self._aio = aio
        self.sql = SqliteSql(aio._conn)

    @classmethod
    async def opened(cls, path: Path, *, read_only: bool = False) -> SqliteConnection:
        """Connect and set the pragmas. Raises `sqlite3.Error`."""
        mode = "ro" if read_only else "rw"
        uri = f"file:{quote(str(path))}?mode={mode}"
        aio = await aiosqlite.connect(
            uri, uri=True, timeout=BUSY_S, isolation_level=None, cached_statements=256
        )
        connection = cls(aio)
        try:
            await connection.pragmas("query_only = on") if read_only else await connection._prepare()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def run(self, work: Callable[[Sql], T]) -> T:
        """See `Connection`.

        `_execute` is what aiosqlite's own methods are made of; they would take a hop for each
        statement.
        """
        with Lending() as lending:
            result: T = await self._aio._execute(lending.over, work, self.sql)  # type: ignore[no-untyped-call]  # untyped there
            return result

    async def pragmas(self, *texts: str) -> list[Any]:
        """The rows of the last one."""
        return await self.run(lambda _: [self.sql.pragma(text) for text in texts][-1])

    async def close(self) -> None:
        """See `Connection`."""
        await self._aio.close()

    async def _prepare(self) -> None:
        mode = await self.pragmas(*PRAGMAS, "journal_mode")
        if mode[0][0] != "wal":
            raise sqlite3.OperationalError("the file system does not allow a write-ahead log")
