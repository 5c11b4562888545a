"""Virtual time: an event loop whose clock jumps to the next timer whenever there is nothing to do.

Minutes of conversation are tested in no time, and always in the same order. It is for tests without
sockets: a peer on a real socket does not know that an hour has just passed. Work in threads (SQLite
is read in one) is waited for: while any other thread lives, the clock jumps only after nothing has
come from them for `THREADS_S` real seconds.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")

THREADS_S = 0.05


class _JumpingSelector(selectors.DefaultSelector):
    """Moves the clock instead of sleeping."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        patience = THREADS_S if timeout > 0 and threading.active_count() > 1 else 0.0
        ready = super().select(min(patience, timeout) if timeout > 0 else 0)
        if not ready and timeout > 0:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`asyncio.Runner(loop_factory=VirtualTimeLoop)` runs anything in virtual time; it begins at 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now


def virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run one `async def test_…` in virtual time: write `@virtual_time` above it.

    It may use plain fixtures (`run_host` is one), not async ones.
    """

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
