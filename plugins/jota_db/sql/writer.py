"""The one writer: takes whatever waits, writes it in one transaction and commits once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from jota_core.api import Code, MemoryStoreError

from .database import Database
from .records import Save
from .statement import Sql
from .work import Begin, Call, Finish, Keep, Work

BATCH = 128
WAITING = 4096
"""Most writes that wait; one more is `busy` after a moment."""
PATIENCE_S = 1.0
ORDER: tuple[type[Work], ...] = (Call, Save, Begin, Keep, Finish)
"""Kinds of one batch run in this order; a caller waits for one before it asks for the next."""

Job = tuple[Work, asyncio.Future[Any]]


class Writer:
    """Owns the connection that writes. One write that fails does not fail its neighbours."""

    def __init__(self, database: Database, stored: Callable[[Work, Any], None]) -> None:
        self._database = database
        self._stored = stored  # told of every work that is on the disk, before its caller is
        self._jobs: asyncio.Queue[Job | None] = asyncio.Queue(WAITING)
        self._task: asyncio.Task[None] | None = None
        self.trouble: Exception | None = None
        """Why the last batch was not stored; None when it was."""

    def start(self) -> None:
        """Begin to write; ends with `close`."""
        self._task = asyncio.create_task(self._forever(), name="jota_db writer")

    async def close(self) -> None:
        """Write what waits, then stop."""
        if self._task is not None:
            await self._jobs.put(None)
            await self._task
            self._task = None

    async def write(self, work: Work) -> Any:
        """Wait until `work` is on the disk and return its result.

        Raises `MemoryStoreError` (`busy`, or what `work` says) and what the driver raises. A caller
        that is cancelled gives up its wait, not the work.
        """
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._task is None or self._task.done():
            raise MemoryStoreError(Code.MEMORY_UNAVAILABLE, "The memory is closing.", 1.0)
        if self._jobs.full():
            await self._put_soon((work, done))
        else:
            self._jobs.put_nowait((work, done))
        return await done

    async def _put_soon(self, job: Job) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._jobs.put(job)
        except TimeoutError:
            raise MemoryStoreError(
                Code.BUSY, f"The memory is busy: {WAITING} writes wait already. Try again soon.", 1.0
            ) from None

    async def _forever(self) -> None:
        going = True
        while going:
            jobs = [await self._jobs.get()]
            while len(jobs) < BATCH and not self._jobs.empty():
                jobs.append(self._jobs.get_nowait())
            going = None not in jobs
            wanted = [job for job in jobs if job is not None and not _given_up(job)]
            if wanted:
                await self._batch(wanted)

    async def _batch(self, jobs: Sequence[Job]) -> None:
        works = [work for work, _ in jobs]
        try:
            results = await self._database.writing.run(lambda sql: write_all(sql, works))
        except Exception as error:  # noqa: BLE001 - handed to every caller: nothing of it is stored
            results = [error] * len(jobs)
            self.trouble = error
        else:
            self.trouble = self._trouble_in(results)
        for (work, done), result in zip(jobs, results, strict=True):
            failed = isinstance(result, Exception)
            if not failed:
                self._stored(work, result)
            if failed and not done.cancelled():
                done.set_exception(result)
            elif not done.cancelled():
                done.set_result(result)

    def _trouble_in(self, results: Sequence[Any]) -> Exception | None:
        """An error that is the database's own, not one that a single write brought on itself."""
        errors = (result for result in results if isinstance(result, Exception))
        return next((error for error in errors if self._database.is_trouble(error)), None)


def _given_up(job: Job) -> bool:
    return job[0].given_up_with_caller and job[1].cancelled()


def write_all(sql: Sql, works: Sequence[Work]) -> list[Any]:
    """One transaction; a result or an exception for each. Runs in the connection's thread."""
    sql.say("BEGIN IMMEDIATE")  # waits for another program that writes, so it is not tried twice
    try:
        return _committed(sql, works, _together)
    except Exception:  # noqa: BLE001 - whatever it was, it shows again below, for one work only
        sql.say("BEGIN IMMEDIATE")
        return _committed(sql, works, _each_alone)


def _committed(sql: Sql, works: Sequence[Work], way: Callable[[Sql, Sequence[Work]], list[Any]]) -> list[Any]:
    try:
        results = way(sql, works)
        sql.say("COMMIT")
    except BaseException:
        if sql.in_transaction:
            sql.say("ROLLBACK")
        raise
    return results


def _together(sql: Sql, works: Sequence[Work]) -> list[Any]:
    results: dict[int, Any] = {}
    for kind in ORDER:
        places = [place for place, work in enumerate(works) if type(work) is kind]
        if places:
            results.update(zip(places, kind.together(sql, [works[p] for p in places]), strict=True))
    return [results[place] for place in range(len(works))]


def _each_alone(sql: Sql, works: Sequence[Work]) -> list[Any]:
    results = {place: _alone(sql, works[place]) for place in _in_order(works)}
    return [results[place] for place in range(len(works))]


def _in_order(works: Sequence[Work]) -> list[int]:
    """Places of works, by kind and rank: as they are done together."""
    return sorted(range(len(works)), key=lambda place: (ORDER.index(type(works[place])), works[place].rank))


def _alone(sql: Sql, work: Work) -> Any:
    sql.say("SAVEPOINT work")
    try:
        result = work.alone(sql)
    except Exception as error:
        if not sql.in_transaction:
            raise  # the disk took the whole transaction with it
        sql.say("ROLLBACK TO work")
        result = error
    sql.say("RELEASE work")
    return result
