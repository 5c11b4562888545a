"""Lends the interpreter lock to the thread that runs SQL, while the event loop is busy.

A thread asks for the lock after every call of SQLite. A loop that sends many small frames gives it away
for microseconds, over and over, and takes it back before the thread has woken up; Python's switch
interval never runs out, and a write of 0.3 ms took 100 ms and more. So once work has taken longer than it
should, the loop stands aside for a moment in each of its rounds until it is done.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Self, TypeVar

from ..sql.statement import Sql

T = TypeVar("T")

AFTER_S = 0.001
"""Work on an idle loop is done by then."""
SLICE_S = 0.0003
"""The loop stands still for so long at most, in one round."""
BUDGET_S = 0.05
"""A disk that needs longer is slow by itself; from then on the loop stands aside rarely."""
RARELY_S = 0.01


class Lending:
    """Around one piece of work in another thread; `over` runs it there."""

    __slots__ = ("_done", "_handle", "_loop", "_until")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._done = threading.Lock()
        self._done.acquire()
        self._until = time.monotonic() + BUDGET_S
        self._handle: asyncio.Handle | None = None

    def __enter__(self) -> Self:
        self._handle = self._loop.call_later(AFTER_S, self._lend)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def over(self, work: Callable[[Sql], T], sql: Sql) -> T:
        """Run the work; the loop stops lending when it ends."""
        try:
            return work(sql)
        finally:
            self._done.release()

    def _lend(self) -> None:
        self._handle = None
        if self._done.acquire(timeout=SLICE_S):
            return
        if time.monotonic() < self._until:
            self._handle = self._loop.call_soon(self._lend)
        else:
            self._handle = self._loop.call_later(RARELY_S, self._lend)
