"""Virtual time: an event loop whose clock jumps to the next timer whenever there is nothing to do.

Minutes of conversation are tested in no time, and always in the same order. It is for tests without
sockets: a peer on a real socket does not know that an hour has just passed. Nor does a thread (SQLite
works in one), so while other threads live the clock runs only `SPEED` times as fast as the real one.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")

SPEED = 100


class _JumpingSelector(selectors.DefaultSelector):
    """Moves the clock instead of sleeping."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        shared = threading.active_count() > 1
        ready = super().select(timeout / SPEED if shared else 0)
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
