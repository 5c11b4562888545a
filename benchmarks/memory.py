"""The store as the plugin opens it, without a host; and one that is filled by the hundred thousand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Self

from jota_core.api import Outcome, TurnResult
from jota_db.late import LateStore
from jota_db.postgres.database import PostgresDatabase
from jota_db.sql.statement import Sql
from jota_db.sql.store import SqlStore
from jota_db.sqlite.database import SqliteDatabase
from jota_db.sqlite.files import StoreFile
from jota_db.urls import StoreUrl

log = logging.getLogger(__name__)
_turns = count()
CLIENTS, TALKS = 50, 20
TALKS_IN_ALL = CLIENTS * TALKS
"""Clients of a large store, and conversations of each."""


class Memory:
    """`async with Memory(folder, url) as memory: await memory.turn(…)`."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = StoreUrl(url)
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self.store = LateStore()

    async def __aenter__(self) -> Self:
        on_close = self._closers.append
        if self._url.is_file:
            file = StoreFile(self._url.path(self._folder))
            inner = SqlStore(await SqliteDatabase.opened(file, log, on_close))
        else:
            inner = SqlStore(await PostgresDatabase.opened(self._url, log, on_close))
        inner.start(on_close)
        self.store.inner = inner
        return self

    async def __aexit__(self, *_: object) -> None:
        for close in reversed(self._closers):
            await close()

    async def turn(self, conversation: int, owner: str, question: str, answer: str) -> None:
        """A whole turn, as the host writes it."""
        record = await self.store.begin_turn(
            f"bench-{id(self)}-{next(_turns)}", conversation, owner, question
        )
        await self.store.finish_turn(record, TurnResult(Outcome.COMPLETE, answer))


def filled(folder: Path, url: str, messages: int) -> list[tuple[int, str]]:
    """A store with so many messages; its conversations and their owners."""
    return asyncio.run(_filled(folder, url, messages))


async def _filled(folder: Path, url: str, messages: int) -> list[tuple[int, str]]:
    async with Memory(folder, url) as memory:
        talks = []
        for number in range(TALKS_IN_ALL):
            owner = f"user{number % CLIENTS}"
            talks.append((await memory.store.open_conversation(owner, new=True)).id)
        owned = [(key, f"user{number % CLIENTS}") for number, key in enumerate(talks)]
        inner: Any = memory.store.inner
        for start in range(0, messages // 2, 5000):
            size = min(5000, messages // 2 - start)
            await inner.change(partial(_page, owned=owned, start=start, size=size))
        return owned


def _page(sql: Sql, *, owned: list[tuple[int, str]], start: int, size: int) -> None:
    """Finished turns, written as they are by the store, many in one transaction."""
    from jota_core.api import TurnRecord
    from jota_db.sql import rows, work

    begun = []
    for offset in range(size):
        number = start + offset
        key, owner = owned[number % len(owned)]
        record = TurnRecord(f"fill-{number}", key, owner, rows.message_id(), rows.message_id())
        text = f"About topic{number // TALKS_IN_ALL}: is the boiler warm, number {number}?"
        begun.append(work.Begin(record, text, 0))
    opened = work.Begin.together(sql, begun)
    finished = []
    for turn in opened:
        result = TurnResult(Outcome.COMPLETE, "It is warm enough, and the cat sleeps on it as usual. " * 2)
        answer = rows.answer(turn, result.text)
        finished.append(work.Finish(turn, rows.ended(turn, result), answer))
    work.Finish.together(sql, finished)
