"""Connections to the file: one thread each, pragmas set, work done in one hop."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import aiosqlite

from .lending import Lending
from .statement import Sql

T = TypeVar("T")

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


class Connection:
    """One aiosqlite connection."""

    def __init__(self, aio: aiosqlite.Connection) -> None:
        self._aio = aio
        self._sql = Sql(aio._conn)

    @classmethod
    async def opened(cls, path: Path, *, read_only: bool = False) -> Connection:
        """Connect and set the pragmas. Raises `sqlite3.Error`."""
        mode = "ro" if read_only else "rw"
        uri = f"file:{quote(str(path))}?mode={mode}"
        aio = await aiosqlite.connect(
            uri, uri=True, timeout=BUSY_S, isolation_level=None, cached_statements=256
        )
        connection = cls(aio)
        try:
            await connection.run(_prepare_reader if read_only else _prepare_writer)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def run(self, work: Callable[[Sql], T]) -> T:
        """Run `work` in the connection's thread, in one hop.

        `_execute` is what aiosqlite's own methods are made of; they would take a hop for each
        statement. A caller that is cancelled does not stop `work`.
        """
        with Lending() as lending:
            result: T = await self._aio._execute(lending.over, work, self._sql)  # type: ignore[no-untyped-call]  # untyped there
            return result

    async def close(self) -> None:
        """Close after the work that is in hand."""
        await self._aio.close()


class Readers:
    """A few read-only connections, handed out in turn; what is committed is visible to them."""

    def __init__(self) -> None:
        self._free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        self._all: list[Connection] = []

    async def open(self, path: Path, count: int) -> None:
        """Connect `count` times. Raises `sqlite3.Error`."""
        for _ in range(count):
            connection = await Connection.opened(path, read_only=True)
            self._all.append(connection)
            self._free.put_nowait(connection)

    async def run(self, work: Callable[[Sql], T]) -> T:
        """Run `work` on the first connection that is free."""
        connection = await self._free.get()
        try:
            return await connection.run(work)
        finally:
            self._free.put_nowait(connection)

    async def close(self) -> None:
        """Close every connection."""
        for connection in self._all:
            await connection.close()


def _prepare_writer(sql: Sql) -> None:
    for pragma in PRAGMAS:
        sql.pragma(pragma)
    if sql.pragma("journal_mode")[0][0] != "wal":
        raise sqlite3.OperationalError("the file system does not allow a write-ahead log")


def _prepare_reader(sql: Sql) -> None:
    sql.pragma("query_only = on")
