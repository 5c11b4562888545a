"""The context that one set-up of a section gets; closing it takes everything down again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from jota_core.api import Event, HealthReport, HttpRoute, Lan, PluginContext

from .backoff import Pace
from .calls import CallFailed, call
from .keeper import Keeper
from .standing import Standing
from .tasks import TaskTracker
from .verdicts import Failure, describe

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Services:
    """What the host lends to plugins."""

    data_dir: Path
    publish: Callable[[Event], None]
    subscribe: Callable[[type[Any], Callable[[Any], None]], Callable[[], None]]
    """Returns the function that ends the subscription."""
    health: Callable[[], Awaitable[HealthReport]]
    lan: Lan
    came_up: Callable[[str], Awaitable[None]]
    """Called when a section begins to be heard."""
    clean: Callable[[str], str] = str
    """A sentence without secrets, before anybody is shown it."""


class SectionContext(PluginContext):
    """Owns what a section opened: its tasks, subscriptions and clean-ups."""

    def __init__(
        self,
        standing: Standing,
        services: Services,
        routes: tuple[HttpRoute, ...],
        tracker: TaskTracker,
        pace: Pace,
    ) -> None:
        self.section = standing.section
        self.data_dir = services.data_dir
        self.log = logging.getLogger(f"jota.{standing.section}")
        self.lan = services.lan
        self._standing = standing
        self._services = services
        self._routes = routes
        self._tracker = tracker
        self._pace = pace
        self._clean_ups: list[Callable[[], Awaitable[None]]] = []
        self._unsubscribe: list[Callable[[], None]] = []
        self._keepers: list[Keeper] = []
        self._closing: asyncio.Task[None] | None = None

    # What the plugin sees.

    def on_close(self, clean_up: Callable[[], Awaitable[None]]) -> None:
        self._check_open()
        self._clean_ups.append(clean_up)

    def spawn(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._check_open()

        def down(failure: Failure, retry_in_s: float | None) -> None:
            self._standing.restarts += 1
            again = "" if retry_in_s is None else f" Tried again in {retry_in_s:.0f} s."
            self._standing.trouble(name, f"{failure.sentence}{again}")

        def up() -> None:
            self._standing.relieve(name)

        self.keep(Keeper(self.section, name, work, self._pace, up, down))

    def ready(self) -> None:
        for keeper in self._keepers:
            if keeper.endless:
                keeper.ready()

    def publish(self, event: Event) -> None:
        self._services.publish(event)

    def subscribe(self, kind: type[E], observer: Callable[[E], None]) -> None:
        self._check_open()
        self._unsubscribe.append(self._services.subscribe(kind, observer))

    async def health(self) -> HealthReport:
        return await self._services.health()

    def http_routes(self) -> tuple[HttpRoute, ...]:
        return self._routes

    # What the host does with it.

    def keep(self, keeper: Keeper) -> None:
        """Own a long task."""
        self._keepers = [each for each in self._keepers if not each.task.done()] + [keeper]

    def wake(self) -> None:
        """Let long tasks that wait for their next try begin at once."""
        for keeper in self._keepers:
            keeper.wake()

    async def close(self) -> None:
        """Take everything down, last opened first; goes on to the end even if its caller is cancelled."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(
                self._close(), name=f"{self.section}:close"
            )
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self._end_keepers()
        while self._unsubscribe:
            self._unsubscribe.pop()()
        while self._clean_ups:
            await self._clean_up(self._clean_ups.pop())
        if leaked := await self._tracker.end_leaked(self.section, self._pace.stop_s):
            log.warning(
                "Section %s left %d tasks running, which were cancelled: %s. Start them with `ctx.spawn`, "
                "or end them in `ctx.on_close`.", self.section, len(leaked), ", ".join(leaked),
            )  # fmt: skip

    async def _end_keepers(self) -> None:
        tasks = [keeper.task for keeper in self._keepers]
        for task in tasks:
            task.cancel()
        if tasks:
            _, stubborn = await asyncio.wait(tasks, timeout=self._pace.stop_s)
            for task in stubborn:
                log.warning("Task %s did not end within %g s.", task.get_name(), self._pace.stop_s)

    async def _clean_up(self, clean_up: Callable[[], Awaitable[None]]) -> None:
        name = getattr(clean_up, "__qualname__", repr(clean_up))
        try:
            await call(self.section, clean_up, limit_s=self._pace.stop_s)
        except CallFailed as failed:
            late = isinstance(failed.error, TimeoutError) and not failed.error.args
            why = f"not done within {self._pace.stop_s:g} s" if late else describe(failed.error)
            log.warning("Closing section %s: %s failed (%s).", self.section, name, why)

    def _check_open(self) -> None:
        if self._closing is not None:
            raise RuntimeError(f"Section {self.section!r} has been closed; keep no context beyond that.")
