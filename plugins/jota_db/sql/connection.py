"""What the store needs of a connection, and a few of them that read."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from .statement import Sql

T = TypeVar("T")
Query = tuple[Callable[[Sql], Any], "asyncio.Future[Any]"]

WAITING = 4096
"""Queries that wait; who brings one more waits before it is taken."""


class Connection(ABC):
    """One connection to the database; what fails raises what the driver raises."""

    @abstractmethod
    async def run(self, work: Callable[[Sql], T]) -> T:
        """Run `work` in one go. A caller that is cancelled does not stop it."""

    @abstractmethod
    async def close(self) -> None:
        """Close after the work that is in hand."""


class Readers:
    """A few connections that only read; what is committed is visible to them.

    Each takes up to `together` queries that wait in one go: on a busy loop the way to a thread and back
    costs far more than a small query.
    """

    def __init__(self, together: int) -> None:
        self._together = together
        self._jobs: asyncio.Queue[Query | None] = asyncio.Queue(WAITING)
        self._all: list[Connection] = []
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, connection: Connection) -> None:
        """One more; `close` closes it."""
        self._all.append(connection)
        name = f"jota_db reader {len(self._tasks)}"
        self._tasks.append(asyncio.create_task(self._serve(connection), name=name))

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
            while len(jobs) < self._together and not self._jobs.empty():
                job = self._jobs.get_nowait()
                if job is None:
                    self._jobs.put_nowait(None)  # read again when these are done
                    break
                jobs.append(job)
            await _answer(connection, [job for job in jobs if not job[1].done()])


async def _answer(connection: Connection, jobs: Sequence[Query]) -> None:
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
    """What each finds, or the exception that it raises. Runs inside the connection."""
    return [_found(work, sql) for work in works]


def _found(work: Callable[[Sql], Any], sql: Sql) -> Any:
    try:
        return work(sql)
    except Exception as error:  # noqa: BLE001 - handed to its own caller
        return error
