"""Keeps a long task alive: a door's `serve`, a plugin's background work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from .backoff import Pace, Retry
from .calls import CallFailed, call
from .verdicts import Failure, Verdict, judge

log = logging.getLogger(__name__)


class Unfinished(Exception):
    """A task that should run until it is cancelled has ended by itself."""


class Keeper:
    """Runs `work` again whenever it breaks, later each time, until it is stopped or nothing can help.

    `up` is called when it has run for the grace time (or said that it is ready); `down` with the
    failure and the seconds until the next try, None when there will be none.
    """

    def __init__(
        self,
        section: str,
        name: str,
        work: Callable[[], Coroutine[Any, Any, None]],
        pace: Pace,
        up: Callable[[], None],
        down: Callable[[Failure, float | None], None],
        *,
        endless: bool = False,
    ) -> None:
        self.name = name
        self.endless = endless
        """Whether it is a door: it serves until cancelled, so that returning is a failure as well."""
        self._section = section
        self._work = work
        self._pace = pace
        self._up = up
        self._down = down
        self._retry = Retry(pace)
        self._grace: asyncio.TimerHandle | None = None
        self._soon = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._keep(), name=f"{section}:{name}")

    def ready(self) -> None:
        """It works; do not wait for the grace time."""
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
            self._up()

    def wake(self) -> None:
        """Try again now."""
        self._soon.set()

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            failure = await self._run()
            if failure is None:
                return
            self._retry.lasted(loop.time() - began)
            if not await self._pause(failure):
                return

    async def _run(self) -> Failure | None:
        self._grace = asyncio.get_running_loop().call_later(self._pace.ready_grace_s, self.ready)
        try:
            await call(self._section, self._work)
            if self.endless:
                raise CallFailed(Unfinished("it ended by itself"))
        except CallFailed as failed:
            return judge(failed.error, self.name)
        finally:
            if self._grace is not None:
                self._grace.cancel()
                self._grace = None
        return None

    async def _pause(self, failure: Failure) -> bool:
        if failure.verdict is Verdict.FINAL:
            self._down(failure, None)
            return False
        crashed = failure.verdict is Verdict.CRASH
        if crashed:
            log.error("%s of section %s failed.", self.name, self._section, exc_info=failure.error)
        delay = self._retry.delay(asyncio.get_running_loop().time(), crashed=crashed)
        self._soon.clear()
        self._down(failure, delay)
        await wait_for(self._soon, delay)
        return True


async def wait_for(event: asyncio.Event, limit_s: float) -> None:
    """Wait until the event is set, at most so long, and clear it."""
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        pass  # the time is up, which is as good
    event.clear()
