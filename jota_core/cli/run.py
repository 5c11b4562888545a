"""`jota run`: one host in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Sequence
from pathlib import Path

import typer

from jota_core.api import HealthReport, State
from jota_core.config import Config
from jota_core.host import serve

from . import folder, logs, snapshot
from .exits import INTERRUPTED, MISSING
from .loading import load

log = logging.getLogger("jota")


def run(file: Path, data: Path | None, options: Sequence[str], *, safe: bool) -> int:
    """Run the host and return its exit code."""
    config = load(file, data, options, safe=safe)
    logs.configure(config.host.log_level, config.host.log_format, config.secrets)
    with folder.locked(config.data):
        return _run(config)


def _run(config: Config) -> int:
    import uvloop

    def tell(report: HealthReport) -> None:
        snapshot.write(config.data, report)

    def on_ready(report: HealthReport) -> None:
        tell(report)
        # What was made at start-up stays: no need to look at it again at every collection.
        gc.freeze()
        _greet(report)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            code = runner.run(serve(config, on_ready, tell))
    except KeyboardInterrupt:
        return INTERRUPTED
    if code == MISSING:
        typer.echo("A required section did not come up; the lines above say why.", err=True)
    return code


def _greet(report: HealthReport) -> None:
    """Say what runs, what does not, and what a newcomer should know."""
    for section in report.sections:
        if section.hint:
            log.info("%s: %s", section.section, section.hint)
    missing = [section.section for section in report.sections if section.state is not State.RUNNING]
    well, total = len(report.sections) - len(missing), len(report.sections)
    not_yet = f" (not yet: {', '.join(missing)})" if missing else ""
    log.info("Jota is ready: %d of %d sections run%s. Ctrl-C stops it.", well, total, not_yet)
