"""The supervisor: brings sections up tier by tier, keeps them alive, takes them down in reverse."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jota_core.api import Health, LoopBlocked, Plugin, SectionChanged, SectionReport, Sessions, State
from jota_core.config import SectionConfig

from .backoff import Pace
from .calls import CallFailed, call_now
from .context import SectionContext, Services
from .dispatcher import Dispatcher
from .lag import LoopWatch
from .section import DOORS, Section, Stage
from .standing import Standing
from .tasks import Owners, TaskTracker
from .verdicts import describe

log = logging.getLogger(__name__)


class Supervisor:
    """All sections of a host. Built before any I/O: then `dispatcher.offers` is known and never changes."""

    def __init__(self, sections: Sequence[SectionConfig], services: Services, pace: Pace) -> None:
        self._services = services
        self._pace = pace
        self._required = {each.name for each in sections if each.required}
        self._standings = {
            each.name: Standing(each.name, each.plugin, pace, self._changed, services.clean)
            for each in sections
        }
        plugins = self._build(sections)
        self.dispatcher = Dispatcher(plugins, self._standings, pace.hook_timeout_s)
        """Asks the plugins; see also its `offers`."""
        owners = Owners(plugins)
        self._tracker = TaskTracker(owners)
        self.watch = LoopWatch(owners, self._blocked)
        """Runs from `settle` to `stop`."""
        self._stage = Stage(asyncio.Event(), asyncio.Event(), services.came_up)
        self._sections = {name: self._section(standing) for name, standing in self._standings.items()}

    async def settle(self) -> tuple[SectionReport, ...]:
        """Set every section up, tier after tier, concurrently within one.

        Returns when each runs, waits or has failed: the required ones that do not run.
        """
        self._tracker.install()
        self.watch.start()
        for tier in range(DOORS + 1):
            members = [section for section in self._sections.values() if section.tier == tier]
            for section in members:
                section.start()
            await asyncio.gather(*(section.settled.wait() for section in members))
        return self._missing()

    async def open(self, sessions: Sessions) -> tuple[SectionReport, ...]:
        """Tell all sections that they have started, then open the doors; returns as `settle` does."""
        sections = self._sections.values()
        for section in sections:
            section.open_with(sessions)
        self._stage.settled.set()
        await asyncio.gather(*(section.told.wait() for section in sections))
        self._stage.open.set()
        await asyncio.gather(*(section.opened.wait() for section in sections))
        return self._missing()

    async def drain(self, deadline_s: float) -> None:
        """Tell all sections to take no new work."""
        await self.dispatcher.draining(deadline_s)

    async def stop(self) -> None:
        """Close every section: doors first, memory last; stragglers are named in the log."""
        for tier in range(DOORS, -1, -1):
            members = [section for section in self._sections.values() if section.tier == tier]
            await asyncio.gather(*(section.stop() for section in reversed(members)))
        self.watch.stop()
        self._tracker.remove()

    def wake(self, section: str) -> None:
        """Something that this section waits for may be there: try now. Raises `KeyError`."""
        self._sections[section].wake()

    def reports(self, health: Mapping[str, Health] | None = None) -> tuple[SectionReport, ...]:
        """How every section stands, in the order of `jota.yaml`; with what they say of themselves."""
        clean, words = self._services.clean, health or {}
        return tuple(
            _with_word(standing.report(), words.get(name), clean)
            for name, standing in self._standings.items()
        )

    def _build(self, sections: Sequence[SectionConfig]) -> dict[str, Plugin[Any]]:
        """Make the plugins' instances; one that cannot be made has failed for good."""
        plugins: dict[str, Plugin[Any]] = {}
        for each in sections:
            standing = self._standings[each.name]
            if each.plugin_class is None:
                standing.become(each.state, each.detail)
                continue
            try:
                plugins[each.name] = call_now(each.name, each.plugin_class, each.settings)
            except CallFailed as failed:
                log.error("Section %s cannot be made.", each.name, exc_info=failed.error)
                standing.become(State.FAILED, f"It cannot be made: {describe(failed.error)}.")
        return plugins

    def _section(self, standing: Standing) -> Section:
        offers = self.dispatcher.offers
        standing.kinds = offers.kinds(standing.section)
        if standing.state is State.FOUND:
            standing.become(State.LOADED)
        doors = offers.doors(standing.section)
        return Section(standing, doors, self.dispatcher, self._pace, self._stage, self._context)

    def _context(self, standing: Standing) -> SectionContext:
        routes = tuple(offer.object for offer in self.dispatcher.offers.http_routes)
        return SectionContext(standing, self._services, routes, self._tracker, self._pace)

    def _missing(self) -> tuple[SectionReport, ...]:
        down = (State.WAITING, State.FAILED)
        return tuple(each for each in self.reports() if each.section in self._required and each.state in down)

    def _changed(self, report: SectionReport) -> None:
        self._services.publish(SectionChanged(report.section, report.state, report.detail))

    def _blocked(self, event: LoopBlocked) -> None:
        log.warning(
            "The event loop stood still for %.0f ms, held by %s at %s.",
            event.lag_ms, event.section or "nobody known", event.where,
        )  # fmt: skip
        if event.section is not None:
            sentence = f"It blocked the event loop for {event.lag_ms:.0f} ms at {event.where}."
            self._standings[event.section].offend(sentence)
        self._services.publish(event)


def _with_word(report: SectionReport, word: Health | None, clean: Callable[[str], str]) -> SectionReport:
    """A section that runs but says that it is not well counts as degraded."""
    if word is None:
        return report
    report = replace(report, hint=clean(word.hint), running=word.running, waiting=word.waiting)
    if report.state is not State.RUNNING:
        return report
    state = State.RUNNING if word.ok else State.DEGRADED
    return replace(report, state=state, detail=clean(word.detail))
