"""One section's life: set up until it holds, told when all have started, served, closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from jota_core.api import Sessions, State, Transport

from .backoff import Pace, Retry
from .calls import CallFailed
from .context import SectionContext
from .dispatcher import Dispatcher
from .keeper import Keeper, wait_for
from .standing import Standing
from .verdicts import Failure, Verdict, judge

log = logging.getLogger(__name__)

MEMORY, BACKENDS, THE_REST, DOORS = range(4)
"""Tiers, in the order of their set-up."""


def tier_of(kinds: tuple[str, ...]) -> int:
    """When a section is set up: as early as the first of what it offers; its doors open last anyway."""
    if "memory" in kinds:
        return MEMORY
    if "inference" in kinds:
        return BACKENDS
    return DOORS if "door" in kinds else THE_REST


@dataclass(frozen=True, slots=True)
class Stage:
    """What all sections wait for together."""

    settled: asyncio.Event
    """Every section has been set up once, or is known to wait or to have failed."""
    open: asyncio.Event
    """Doors may open."""
    came_up: Callable[[str], Awaitable[None]]
    """Called with the name of a section that begins to be heard."""


class Section:
    """The state machine of one section; `standing` shows where it is."""

    def __init__(
        self,
        standing: Standing,
        doors: tuple[Transport, ...],
        dispatcher: Dispatcher,
        pace: Pace,
        stage: Stage,
        make_context: Callable[[Standing], SectionContext],
    ) -> None:
        self.standing = standing
        self.tier = tier_of(standing.kinds)
        self.settled = asyncio.Event()
        """Its first set-up has ended, well or not."""
        self.told = asyncio.Event()
        """It has heard that all have started; set as well when there is nothing to tell."""
        self.opened = asyncio.Event()
        """Its doors are open, or known to wait or to have failed."""
        self._doors = doors
        self._dispatcher = dispatcher
        self._pace = pace
        self._stage = stage
        self._make_context = make_context
        self._soon = asyncio.Event()
        self._closed_doors: set[str] = set()
        self._context: SectionContext | None = None
        self._life: asyncio.Task[None] | None = None
        self._sessions: Sessions | None = None

    def start(self) -> None:
        """Begin to set up; `settled` tells when the first attempt is over."""
        if self.standing.state is State.LOADED:
            self._life = asyncio.get_running_loop().create_task(
                self._live(), name=f"{self.standing.section}:life"
            )
        else:
            self._reach_all()

    def open_with(self, sessions: Sessions) -> None:
        """What doors serve, once `stage.open` is set."""
        self._sessions = sessions

    def wake(self) -> None:
        """Something changed outside: do not wait for the next try."""
        self._soon.set()
        if self._context is not None:
            self._context.wake()

    async def stop(self) -> None:
        """Close everything; returns within its budgets whatever the plugin does."""
        if self.standing.state in (State.STOPPING, State.STOPPED):
            return
        self._reach_all()
        self.standing.close()
        self.standing.become(State.STOPPING)
        await self._end_life()
        if self._context is not None:
            await self._context.close()
        self.standing.become(State.STOPPED)

    async def _live(self) -> None:
        try:
            await self._come_up()
        except Exception:
            # Ours, not the plugin's: its errors never get so far. Nobody shall wait for it in vain.
            log.exception("The supervisor lost section %s.", self.standing.section)
            self.standing.become(State.FAILED, "The supervisor itself failed; the log has the details.")
        finally:
            self._reach_all()

    async def _come_up(self) -> None:
        retry = Retry(self._pace)
        while (failure := await self._set_up()) is not None:
            self._reach_all()
            if not await self._pause(failure, retry):
                return
        self.standing.listening = True
        if not self._doors:
            self.standing.up()
        self.settled.set()
        await self._stage.came_up(self.standing.section)
        await self._stage.settled.wait()
        await self._dispatcher.started(self.standing.section)
        self.told.set()
        await self._stage.open.wait()
        await self._open_doors()

    async def _set_up(self) -> Failure | None:
        self.standing.become(State.STARTING)
        self._context = context = self._make_context(self.standing)
        limit_s = self._pace.setup_timeout_s
        try:
            await self._dispatcher.set_up(self.standing.section, context, limit_s)
        except CallFailed as failed:
            return judge(failed.error, "Setting up")
        return None

    async def _pause(self, failure: Failure, retry: Retry) -> bool:
        """Show the failure, clean up, wait for the next try; False when there is none."""
        crashed = failure.verdict is Verdict.CRASH
        if crashed:
            log.error("Setting up section %s failed.", self.standing.section, exc_info=failure.error)
        if failure.verdict is Verdict.FINAL:
            self._fall(failure, None)
        else:
            self._soon.clear()
            self._fall(failure, delay := retry.delay(asyncio.get_running_loop().time(), crashed=crashed))
        assert self._context is not None
        await self._context.close()
        if failure.verdict is not Verdict.FINAL:
            await wait_for(self._soon, delay)
        return failure.verdict is not Verdict.FINAL

    def _fall(self, failure: Failure, retry_in_s: float | None) -> None:
        """Waiting, or failed when nothing but the user can help or crashes have used up their budget."""
        hopeless = retry_in_s is None or retry_in_s >= self._pace.slow_retry_s
        if retry_in_s is not None:
            self.standing.restarts += 1
        state = State.FAILED if hopeless else State.WAITING
        self.standing.become(state, failure.sentence, retry_in_s=retry_in_s)

    async def _open_doors(self) -> None:
        assert self._context is not None
        sessions = self._sessions
        assert sessions is not None
        for number, door in enumerate(self._doors, 1):
            name = "The door" if len(self._doors) == 1 else f"Door {number}"
            self._closed_doors.add(name)
            self._context.keep(self._keep_open(name, door, sessions))
        if self._doors:
            await self.opened.wait()

    def _keep_open(self, name: str, door: Transport, sessions: Sessions) -> Keeper:
        def up() -> None:
            self._closed_doors.discard(name)
            if not self._closed_doors:
                self.standing.up()
                self.opened.set()

        def down(failure: Failure, retry_in_s: float | None) -> None:
            self._closed_doors.add(name)
            self._fall(failure, retry_in_s)
            self.opened.set()

        section = self.standing.section
        return Keeper(section, name, lambda: door.serve(sessions), self._pace, up, down, endless=True)

    def _reach_all(self) -> None:
        """Nobody needs to wait for this section now."""
        self.settled.set()
        self.told.set()
        self.opened.set()

    async def _end_life(self) -> None:
        if self._life is not None:
            self._life.cancel()
            _, stubborn = await asyncio.wait({self._life}, timeout=self._pace.stop_s)
            if stubborn:
                log.warning("Section %s is still busy with its set-up.", self.standing.section)
