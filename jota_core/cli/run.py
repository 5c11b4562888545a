"""`jota run`: one host in this process, or several that share its work, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from jota_core.api import HealthReport, ReminderDue, State, Worker
from jota_core.config import Config
from jota_core.host import Host, Meanwhile, serve

from . import crash, folder, logs, snapshot
from .exits import INTERRUPTED, MISSING
from .loading import load

if TYPE_CHECKING:
    from jota_core.workers.line import Line

WORKER = "JOTA_WORKER"
"""The environment name by which the manager tells a worker what it is."""
LEFT = (
    "{place} is of a worker that is not started now. If the store was away when it ended, messages may wait "
    "there: `jota run --workers {number}` brings them. After that, remove the folder."
)
log = logging.getLogger("jota")


def run(file: Path, data: Path | None, options: Sequence[str], *, safe: bool, workers: int | None) -> int:
    """Run the host and return its exit code."""
    if told := os.environ.pop(WORKER, ""):
        from jota_core.workers.line import taken

        ends = taken()  # before any plugin is imported
        return _work(load(file, data, options, safe=safe), told, ends, safe=safe)
    config = load(file, data, options, safe=safe)
    logs.configure(config.host.log_level, config.host.log_format, config.secrets)
    count = workers or config.host.workers
    with folder.locked(config.data) as lock:
        _name_left(config.data, count)
        if count == 1:
            return _run(config)
        return _manage(count, _again(file, data, options, safe=safe), config.host.drain_s, lock)


def _name_left(data: Path, count: int) -> None:
    """What a worker kept while the first was away is brought when it runs again: say so if it does not."""
    if (data / "workers").exists():  # usually not, and nothing is imported for it
        from jota_core.workers.dividing import left, own

        for number in left(data, count):
            log.warning(LEFT.format(place=own(data, number), number=number))


def _again(file: Path, data: Path | None, options: Sequence[str], *, safe: bool) -> list[str]:
    """The arguments once more, for the workers."""
    given = ["--data", str(data)] if data else []
    return ["-c", str(file), *given, *(f"--set={each}" for each in options), *(["--safe"] if safe else [])]


def _manage(count: int, arguments: Sequence[str], drain_s: float, lock: int) -> int:
    from jota_core.workers.manager import Manager

    return asyncio.run(Manager(count, arguments, drain_s, lock).run())


def _work(config: Config, told: str, ends: tuple[int, int], *, safe: bool) -> int:
    """Be one of several workers; the manager holds the data folder."""
    import orjson

    from jota_core.hosting import Finder
    from jota_core.workers.dividing import divided, own, share

    worker = Worker(**orjson.loads(told))
    secrets = config.secrets | {worker.key}
    crash.hide(secrets)
    logs.configure(config.host.log_level, config.host.log_format, secrets, worker=worker.number)
    data, config = config.data, divided(config, worker, Finder(safe=safe).plugin_class)
    with folder.locked(own(data, worker.number)):
        share(data, worker.number)
        return _run(config, ends)


def _run(config: Config, ends: tuple[int, int] | None = None) -> int:
    """Serve until the end; `ends` are a worker's, of its line to the manager."""
    import uvloop

    line: Line | None = None
    missing = False

    @asynccontextmanager
    async def with_line(host: Host) -> AsyncIterator[None]:
        """A worker's line to its manager."""
        nonlocal line, missing
        from jota_core.workers.line import Line

        assert ends is not None
        line, missing = Line(ends, host.bus.publish), bool(host.missing)
        unsubscribe = host.bus.subscribe(ReminderDue, line.remind)
        async with line.open():
            yield
        unsubscribe()

    def tell(report: HealthReport) -> None:
        snapshot.write(config.data, report)

    def on_ready(report: HealthReport) -> None:
        tell(report)
        # What was made at start-up stays: no need to look at it again at every collection.
        gc.freeze()
        _greet(report)
        if line is not None and not missing:
            line.ready()

    meanwhile: Meanwhile = with_line if ends else nullcontext
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            code = runner.run(serve(config, on_ready, tell, meanwhile))
            limit = threading.Timer(config.host.stop_s, _leave, (code,))
            limit.daemon = True
            limit.start()
        limit.cancel()
    except KeyboardInterrupt:
        _end(INTERRUPTED)  # threads of libraries, left where they were, would hold an ordinary end up
    if code == MISSING:
        typer.echo("A required section did not come up; the lines above say why.", err=True)
    return code


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
