"""Cuts a generation: on demand, or when the backend has been silent for too long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from types import TracebackType
from typing import Self, TypeVar

from jota_core.api import BackendError, Code

log = logging.getLogger(__name__)

T = TypeVar("T")

CLOSE_S = 2.0
"""A backend that does not let go of a closed generation within this is left behind, and named."""


class Cutter:
    """Guards one block (`async with`); leaving it cut raises `BackendError` with the reason.

    `touch` costs an attribute and a clock reading, so it may be called for every token: the timer is
    only looked at when the limit may have passed.
    """

    def __init__(self, first_s: float, between_s: float) -> None:
        self.reason: BackendError | None = None
        self._between_s = between_s
        self._limit_s = first_s
        self._loop = asyncio.get_running_loop()
        self._touched = self._loop.time()
        self._scope: asyncio.Timeout | None = None
        self._timer: asyncio.TimerHandle | None = None

    def touch(self) -> None:
        """The backend gave a sign of life."""
        self._touched = self._loop.time()

    def hold(self) -> None:
        """We are the slow ones now; no stall is counted until the next `touch`."""
        self._touched = inf

    def speaking(self) -> None:
        """The first token is there: from now on the shorter limit holds."""
        self._limit_s = self._between_s
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._loop.call_later(self._limit_s, self._look)

    def cut(self, code: Code, sentence: str) -> None:
        """End the block as soon as it waits for anything; the first reason stays."""
        if self.reason is None:
            self.reason = BackendError(code, sentence)
            if self._scope is not None:
                self._scope.reschedule(self._loop.time())

    async def __aenter__(self) -> Self:
        self._scope = await asyncio.timeout(None).__aenter__()
        if self.reason is not None:
            self._scope.reschedule(self._loop.time())
        self.touch()
        self._timer = self._loop.call_later(self._limit_s, self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._scope is not None and self._timer is not None
        self._timer.cancel()
        scope, self._scope = self._scope, None
        try:
            await scope.__aexit__(kind, error, traceback)
        except TimeoutError:
            if self.reason is None:
                raise
            raise self.reason from None

    def _look(self) -> None:
        left = self._touched + self._limit_s - self._loop.time()
        if left <= 0:
            self.cut(
                Code.STALLED,
                f"The language model was silent for {self._limit_s:g} s and was stopped; its text is kept.",
            )
        else:
            self._timer = self._loop.call_later(min(left, self._limit_s), self._look)


@asynccontextmanager
async def closing(pieces: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close a stream of a backend when its reader leaves, so that it aborts its work."""
    try:
        yield pieces
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await close()
            except TimeoutError:
                log.warning("%r did not end within %g s of being closed.", pieces, CLOSE_S)
