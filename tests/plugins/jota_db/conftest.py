"""A store in a folder of the test's own, opened by the plugin as the host opens it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jota_core.api import Event, HealthReport, HttpRoute, MemoryStore, PluginContext
from jota_db import JotaDb


class Context(PluginContext):
    """The part of a host that this plugin uses."""

    def __init__(self, data_dir: Path) -> None:
        self.section = "memory"
        self.data_dir = data_dir
        self.log = logging.getLogger("jota_db.test")
        self.closers: list[Callable[[], Awaitable[None]]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def on_close(self, clean_up: Callable[[], Awaitable[None]]) -> None:
        self.closers.append(clean_up)

    def spawn(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.tasks.append(asyncio.create_task(work(), name=name))

    def ready(self) -> None: ...

    def publish(self, event: Event) -> None: ...

    def subscribe(self, kind: Any, observer: Any) -> None: ...

    async def health(self) -> HealthReport:
        return HealthReport(True, ())

    def http_routes(self) -> tuple[HttpRoute, ...]:
        return ()

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for clean_up in reversed(self.closers):
            await clean_up()


Section = tuple[JotaDb, MemoryStore]
Running = Callable[..., Any]


@asynccontextmanager
async def running(folder: Path, **settings: Any) -> AsyncIterator[Section]:
    """The plugin, set up in `folder`, and its store."""
    plugin = JotaDb(JotaDb.Settings(**settings))
    context = Context(folder)
    (store,) = plugin.jota_memories()
    try:
        await plugin.jota_setup(context)
        yield plugin, store
    finally:
        await context.close()


@pytest.fixture
def section() -> Running:
    return running


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[MemoryStore]:
    async with running(tmp_path) as (_, store):
        yield store
