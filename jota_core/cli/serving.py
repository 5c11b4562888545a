"""One process that serves until it is told to stop, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, NoReturn

import typer

from jota_core.api import HealthReport, ReminderDue, State
from jota_core.config import Config
from jota_core.host import Host, Meanwhile, serve

from . import snapshot
from .exits import INTERRUPTED, MISSING

if TYPE_CHECKING:
    from jota_core.workers.line import Line

log = logging.getLogger("jota")


class Serving:
    """A host in this process; `ends` are a worker's, of its line to the manager."""

    def __init__(self, config: Config, ends: tuple[int, int] | None = None) -> None:
        self._config = config
        self._ends = ends
        self._line: Line | None = None
        self._is_missing = False

    def run(self) -> int:
        """Serve until the end; returns the exit code."""
        import uvloop

        meanwhile: Meanwhile = self._with_line if self._ends else nullcontext
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                code = runner.run(serve(self._config, self._ready, self._tell, meanwhile))
                limit = threading.Timer(self._config.host.stop_s, _leave, (code,))
                limit.daemon = True
                limit.start()
            limit.cancel()
        except KeyboardInterrupt:
            _end(INTERRUPTED)  # threads of libraries, left where they were, would hold an ordinary end up
        if code == MISSING:
            typer.echo("A required section did not come up; the lines above say why.", err=True)
        return code

    @asynccontextmanager
    async def _with_line(self, host: Host) -> AsyncIterator[None]:
        """A worker's line to its manager."""
        from jota_core.workers.line import Line

        assert self._ends is not None
        self._line, self._is_missing = Line(self._ends, host.bus.publish), bool(host.missing)
        unsubscribe = host.bus.subscribe(ReminderDue, self._line.remind)
        async with self._line.open():
            yield
        unsubscribe()

    def _tell(self, report: HealthReport) -> None:
        snapshot.write(self._config.data, report)

    def _ready(self, report: HealthReport) -> None:
        self._tell(report)
        # What was made at start-up stays: no need to look at it again at every collection.
        gc.freeze()
        _greet(report)
        if self._line is not None and not self._is_missing:
            self._line.ready()


def _leave(code: int) -> None:
    """Everything is closed, but the loop does not end: a plugin's task or thread is deaf."""
    log.warning("Something that a plugin began does not end; the host ends without it.")
    _end(code)


def _end(code: int) -> NoReturn:
    logging.shutdown()
    os._exit(code)


def _greet(report: HealthReport) -> None:
    """Say what runs, what does not, and what a newcomer should know."""
    for section in report.sections:
        if section.hint:
            log.info("%s: %s", section.section, section.hint)
    missing = [section.section for section in report.sections if section.state is not State.RUNNING]
    well, total = len(report.sections) - len(missing), len(report.sections)
    not_yet = f" (not yet: {', '.join(missing)})" if missing else ""
    log.info("Jota is ready: %d of %d sections run%s. Ctrl-C stops it.", well, total, not_yet)
