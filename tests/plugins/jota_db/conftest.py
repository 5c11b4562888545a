"""A store in a folder of the test's own, opened by the plugin as the host opens it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.postgres import PostgresServer
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


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of a run."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, postgres: PostgresServer) -> str:
    """An empty store of each kind."""
    if request.param == "sqlite":
        return "sqlite:///jota.db"
    return postgres.create(f"test_{secrets.token_hex(8)}")


@pytest.fixture
async def store(tmp_path: Path, url: str) -> AsyncIterator[MemoryStore]:
    async with running(tmp_path, store=url) as (_, store):
        yield store
