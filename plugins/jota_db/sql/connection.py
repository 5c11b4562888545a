"""Connections to the file: one thread each, pragmas set, work done in one hop."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import aiosqlite

from .lending import Lending
from .statement import Sql

T = TypeVar("T")
Query = tuple[Callable[[Sql], Any], "asyncio.Future[Any]"]

BUSY_S = 2.0
"""How long a statement waits for another program that holds the file."""
TOGETHER = 32
"""Queries of one way to a thread and back, at most."""
WAITING = 4096
"""Queries that wait; who brings one more waits before it is taken."""
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
    """A few read-only connections; what is committed is visible to them.

    Each takes whatever waits in one go: on a busy loop the way to a thread and back costs far more than
    a small query.
    """

    def __init__(self) -> None:
        self._jobs: asyncio.Queue[Query | None] = asyncio.Queue(WAITING)
        self._all: list[Connection] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, path: Path, count: int) -> None:
        """Connect `count` times. Raises `sqlite3.Error`."""
        for number in range(count):
            connection = await Connection.opened(path, read_only=True)
            self._all.append(connection)
            self._tasks.append(asyncio.create_task(self._serve(connection), name=f"jota_db reader {number}"))

    async def run(self, work: Callable[[Sql], T]) -> T:
        """What `work` finds. Raises what it raises; waits while too many others do."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        await self._jobs.put((work, answer))
        return await answer

    async def close(self) -> None:
        """Close every connection after the work that waits."""
        for _ in self._tasks:
            await self._jobs.put(None)
        for task in self._tasks:
            await task
        for connection in self._all:
            await connection.close()

    async def _serve(self, connection: Connection) -> None:
        while (first := await self._jobs.get()) is not None:
            jobs = [first]
            while len(jobs) < TOGETHER and not self._jobs.empty():
                job = self._jobs.get_nowait()
                if job is None:
                    self._jobs.put_nowait(None)  # read again when these are done
                    break
                jobs.append(job)
            await _answer(connection, [job for job in jobs if not job[1].done()])


async def _answer(connection: Connection, jobs: list[Query]) -> None:
    try:
        found = await connection.run(partial(_each, [work for work, _ in jobs]))
    except Exception as error:  # noqa: BLE001 - the connection is gone: everybody is told
        found = [error] * len(jobs)
    for (_, answer), result in zip(jobs, found, strict=True):
        if answer.done():
            continue  # given up meanwhile
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)


def _each(works: list[Callable[[Sql], Any]], sql: Sql) -> list[Any]:
    """What each finds, or the exception that it raises. Runs in the connection's thread."""
    return [_found(work, sql) for work in works]


def _found(work: Callable[[Sql], Any], sql: Sql) -> Any:
    try:
        return work(sql)
    except Exception as error:  # noqa: BLE001 - handed to its own caller
        return error


def _prepare_writer(sql: Sql) -> None:
    for pragma in PRAGMAS:
        sql.pragma(pragma)
    if sql.pragma("journal_mode")[0][0] != "wal":
        raise sqlite3.OperationalError("the file system does not allow a write-ahead log")


def _prepare_reader(sql: Sql) -> None:
    sql.pragma("query_only = on")
