"""`jota run`: one host in this process, or several that share its work, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from jota_core.api import Worker
from jota_core.config import Config

from . import crash, folder, logs
from .loading import load
from .serving import Serving

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
            return Serving(config).run()
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
        return Serving(config, ends).run()
