"""The host: the one room that knows everyone, and wires them by passing objects in."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from types import TracebackType
from typing import Any, Self, TypeVar

from jota_core.api import HealthReport, SectionReport, State
from jota_core.config import Config, HostSettings, Redaction
from jota_core.hosting import Offer, Pace, Services, Supervisor
from jota_core.runtime import (
    Assistant,
    Bus,
    HostLan,
    HostSpeech,
    HostTranscription,
    LanParts,
    Parts,
    Routing,
    SessionHub,
    Toolbox,
)

T = TypeVar("T")

HEALTH_EVERY_S = 5.0
WELL = frozenset({State.RUNNING, State.STOPPED})
"""States that leave the host well: a section that safe mode leaves out is meant to be out."""
FINE, MISSING = 0, 3
"""Exit codes of `serve`."""


class Host:
    """One running Jota: `async with Host(config) as host` brings it up, and leaves it drained and closed.

    With `stop` set while it comes up, it waits for nothing more.
    """

    def __init__(self, config: Config, stop: asyncio.Event | None = None) -> None:
        self.config = config
        self._stop = stop or asyncio.Event()
        self.bus = Bus()
        self.missing: tuple[SectionReport, ...] = ()
        """Required sections that did not come up."""
        self.lan = HostLan()
        """What is on the LAN."""
        services = Services(
            config.data, self.bus.publish, self.bus.subscribe, self.health, self.lan, self.lan.replay,
            clean=Redaction(config.secrets),
        )  # fmt: skip
        self._supervisor = Supervisor(config.sections, services, _pace(config.host))
        self.lan.parts = self._lan_parts()
        self.sessions = SessionHub(self._parts())
        """Where doors open sessions."""

    def _parts(self) -> Parts:
        config, dispatcher = self.config, self._supervisor.dispatcher
        offers = dispatcher.offers
        assistant = config.assistant
        prompt = assistant.system_prompt.replace("{name}", assistant.name)
        return Parts(
            memories=_named(offers.memories),
            routing=Routing(_named(offers.backends), _pools(config.routing.inference)),
            transcription=HostTranscription(_named(offers.transcribers), config.routing.transcription),
            speech=HostSpeech(_named(offers.speakers), config.routing.speech),
            tools=Toolbox([offer.object for offer in offers.tools]),
            hooks=dispatcher,
            bus=self.bus,
            limits=config.turns,
            assistant=Assistant(prompt, assistant.clock, assistant.sampling()),
        )

    def _lan_parts(self) -> LanParts:
        dispatcher = self._supervisor.dispatcher
        matchers = [(offer.section, offer.object) for offer in dispatcher.offers.matchers]
        doors = [offer.object for offer in dispatcher.offers.transports]
        return LanParts(dispatcher, matchers, doors, self.wake)

    async def health(self) -> HealthReport:
        """Every section, with its own word on itself, and the verdict on the whole."""
        sections = self._supervisor.reports(await self._supervisor.dispatcher.health())
        well = all(section.state in WELL for section in sections)
        hub = self.sessions
        lag_ms, running = self._supervisor.watch.worst_ms, len(hub.running)
        worker, workers = self.config.worker, self.config.workers
        return HealthReport(well, sections, lag_ms, running, hub.waiting, worker, workers)

    def wake(self, section: str) -> None:
        """Something that a waiting section needs may be there: try now. Raises `KeyError`."""
        self._supervisor.wake(section)

    async def __aenter__(self) -> Self:
        self.config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.lan.start()
        await _unless(self._stop, self._come_up())
        return self

    async def _come_up(self) -> None:
        self.missing = await self._supervisor.settle()
        self.sessions.start()
        self.missing = await self._supervisor.open(self.sessions)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        limit_s = self.config.host.drain_s
        await asyncio.gather(self._supervisor.drain(limit_s), self.sessions.drain(limit_s))
        await self.sessions.close()
        await self._supervisor.stop()
        await self.lan.close()


def _pace(settings: HostSettings) -> Pace:
    return Pace(
        setup_timeout_s=settings.setup_timeout_s,
        hook_timeout_s=settings.hook_timeout_s,
        stop_s=settings.stop_s,
        restart_budget=settings.restart_budget,
    )


def _named(offers: Sequence[Offer[T]]) -> dict[str, T]:
    """Offers by section name; a second one of the same section is `name/2`."""
    named: dict[str, T] = {}
    for offer in offers:
        count = sum(1 for name in named if name.partition("/")[0] == offer.section)
        named[f"{offer.section}/{count + 1}" if count else offer.section] = offer.object
    return named


def _pools(routing: Sequence[str | Sequence[str]]) -> list[Sequence[str]]:
    """`routing:` as pools; a single name is a pool of one."""
    return [[each] if isinstance(each, str) else each for each in routing]


Tell = Callable[[HealthReport], None]
Meanwhile = Callable[["Host"], AbstractAsyncContextManager[object]]


async def serve(
    config: Config,
    on_ready: Tell,
    on_change: Tell,
    meanwhile: Meanwhile = nullcontext,
) -> int:
    """Run a host until a signal.

    `on_ready` hears of its health once everything has been tried, `on_change` every few seconds after;
    `meanwhile` is open while the host runs.
    Returns the exit code: 0, or 3 when a required section did not come up. The first SIGTERM or SIGINT
    drains; a second one raises `KeyboardInterrupt`.
    """
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, _stop, stop)
    async with Host(config, stop) as host:
        if not stop.is_set():
            async with meanwhile(host):
                return await _run(host, stop, on_ready, on_change)
    return FINE


async def _run(host: Host, stop: asyncio.Event, on_ready: Tell, on_change: Tell) -> int:
    on_ready(await host.health())
    if host.missing:
        return MISSING
    while not await _within(stop, HEALTH_EVERY_S):
        on_change(await host.health())
    return FINE


def _stop(stop: asyncio.Event) -> None:
    if stop.is_set():
        raise KeyboardInterrupt
    stop.set()


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work; when the event comes first, it is given up."""
    tasks = [asyncio.ensure_future(each) for each in (work, event.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            tasks[0].result()  # tell what it raised
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Whether an event came within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
