"""A supervisor over small real plugins, and a clock that leaps instead of waiting."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from jota_core.api import Event, HealthReport, Plugin, SectionReport, Sessions, State
from jota_core.config import Place, SectionConfig
from jota_core.hosting import Pace, Services, Supervisor
from jota_core.runtime import HostLan, LanParts


class LeapingLoop(asyncio.SelectorEventLoop):
    """Its clock leaps to the next timer whenever nothing else is left to do."""

    def __init__(self) -> None:
        self._leapt = 0.0
        super().__init__(_LeapingSelector(self))

    def time(self) -> float:
        return self._leapt

    def leap(self, seconds: float) -> None:
        self._leapt += seconds


class _LeapingSelector(selectors.DefaultSelector):
    def __init__(self, loop: LeapingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout:
            self._loop.leap(timeout)
        return ready


class Stand:
    """A supervisor with plugin classes as sections; `facts` is what the host's observers heard."""

    def __init__(self, folder: Path, pace: Pace) -> None:
        self.folder = folder
        self.pace = pace
        self.facts: list[Event] = []
        self._configs: list[SectionConfig] = []
        self._supervisor: Supervisor | None = None

    def add(self, name: str, plugin: type[Plugin[Any]], *, required: bool = False) -> Stand:
        place = Place("jota.yaml", 1, 1)
        self._configs.append(SectionConfig(name, plugin.__name__, place, plugin, plugin.Settings(), required))
        return self

    def add_broken(self, name: str, state: State, detail: str) -> Stand:
        place = Place("jota.yaml", 1, 1)
        self._configs.append(SectionConfig(name, name, place, state=state, detail=detail))
        return self

    @property
    def supervisor(self) -> Supervisor:
        if self._supervisor is None:
            lan = HostLan()
            services = Services(
                self.folder, self.facts.append, self._subscribe, self._health, lan, lan.replay
            )
            self._supervisor = supervisor = Supervisor(self._configs, services, self.pace)
            lan.parts = LanParts(supervisor.dispatcher, [], [], supervisor.wake)
        return self._supervisor

    def report(self, section: str) -> SectionReport:
        return next(each for each in self.supervisor.reports() if each.section == section)

    def state(self, section: str) -> State:
        return self.report(section).state

    async def start(self) -> None:
        await self.supervisor.settle()
        await self.open()

    async def open(self) -> tuple[SectionReport, ...]:
        """The second half of the start: doors."""
        return await self.supervisor.open(cast(Sessions, object()))  # these doors look at no session

    async def until(self, section: str, *states: State, limit_s: float = 1000.0) -> SectionReport:
        async with asyncio.timeout(limit_s):
            while self.state(section) not in states:
                await asyncio.sleep(0.01)
        return self.report(section)

    def _subscribe(self, kind: type[Any], observer: Callable[[Any], None]) -> Callable[[], None]:
        return lambda: None

    async def _health(self) -> HealthReport:
        return HealthReport(True, self.supervisor.reports())


@pytest.fixture
def pace() -> Pace:
    """Short times, for tests with the real clock."""
    return Pace(
        setup_timeout_s=0.2, hook_timeout_s=0.1, stop_s=0.2, ready_grace_s=0.05, first_retry_s=0.02,
        longest_retry_s=0.1, healthy_s=0.3, slow_retry_s=0.4,
    )  # fmt: skip


@pytest.fixture
def stand(tmp_path: Path, pace: Pace) -> Stand:
    return Stand(tmp_path, pace)


@pytest.fixture
def slow_stand(tmp_path: Path) -> Stand:
    """With the real times of a host; for tests with the leaping clock."""
    return Stand(tmp_path, Pace())


@pytest.fixture
def leaping() -> Iterator[Callable[[Any], Any]]:
    """Run a coroutine on a loop whose clock leaps."""

    def run(work: Any) -> Any:
        with asyncio.Runner(loop_factory=LeapingLoop) as runner:
            return runner.run(work)

    yield run
