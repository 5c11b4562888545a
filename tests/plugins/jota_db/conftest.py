"""A store in a folder of the test's own, opened by the plugin as the host opens it."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from benchmarks.postgres import PostgresServer
from jota_core.api import Event, HealthReport, HttpRoute, MemoryStore, PluginContext
from jota_core.runtime import HostLan
from jota_db import JotaDb
from jota_db.client.plugin import JotaDbClient
from jota_db.server.door import DbDoor


class Context(PluginContext):
    """The part of a host that this plugin uses."""

    def __init__(self, data_dir: Path) -> None:
        self.section = "memory"
        self.data_dir = data_dir
        self.lan = HostLan()
        self.log = logging.getLogger("jota_db.test")
        self.closers: list[Callable[[], Awaitable[None]]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.published: list[Event] = []

    def on_close(self, clean_up: Callable[[], Awaitable[None]]) -> None:
        self.closers.append(clean_up)

    def spawn(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.tasks.append(asyncio.create_task(work(), name=name))

    def ready(self) -> None: ...

    def publish(self, event: Event) -> None:
        self.published.append(event)

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


BEARER = "bearer-of-the-test-0123456789"
Section = tuple[JotaDb, MemoryStore]
Running = Callable[..., Any]


@asynccontextmanager
async def far(
    folder: Path, base: str, key: str, **settings: Any
) -> AsyncIterator[tuple[JotaDbClient, MemoryStore]]:
    """The client, set up in `folder` with the server at `base`."""
    given = {"url": base, "bearer": BEARER, "key": key, **settings}
    plugin, context = JotaDbClient(JotaDbClient.Settings(**given)), Context(folder)
    (store,) = plugin.jota_memories()
    try:
        await plugin.jota_setup(context)
        yield plugin, store
    finally:
        await context.close()


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


OLD = re.compile(
    r"GET /(health|auth/(client|session|internal)|chat/models|config/me)|"
    r"(GET|POST) /chat/(conversations|\d+/messages)|(GET|PATCH) /chat/conversations/\d+"
)


class Rest:
    """The door of a store, asked over a real socket."""

    def __init__(self, plugin: JotaDb, store: Any, context: Context, http: aiohttp.ClientSession) -> None:
        self.plugin = plugin
        self.store = store
        self.published = context.published
        self._http = http
        (door,) = plugin.jota_transports()
        assert isinstance(door, DbDoor)
        self.base = f"http://127.0.0.1:{door.port}"

    async def __call__(
        self, method: str, path: str, body: Any = None, *, key: str = "", client: str = "",
        bearer: str | None = BEARER, status: int | None = None, **headers: str,
    ) -> Any:  # fmt: skip
        """What it answers; `status` is what it must be."""
        shown = {"X-API-Key": key, "X-Client-ID": client, **headers}
        shown = {name.replace("_", "-"): text for name, text in shown.items() if text}
        if bearer is not None:
            shown["Authorization"] = f"Bearer {bearer}"
        async with self._http.request(
            method, self.base + path, json=body, headers=shown, allow_redirects=False
        ) as answer:
            text = await answer.text()
            assert status is None or answer.status == status, (answer.status, text)
            assert answer.status < 500 or answer.status == 503, text
            return await answer.json() if answer.content_type == "application/json" else text

    async def add(self, name: str, kind: str = "client") -> str:
        """Somebody new; returns their key."""
        from jota_db.people import registry

        def work(sql: Any) -> str:
            if kind == "client":
                return registry.add_client(sql, name)[1]
            return registry.add_service(sql, name, kind)[1]

        key: str = await self.store.inner.change(work)
        return key


@pytest.fixture
async def rest(tmp_path: Path, url: str) -> AsyncIterator[Rest]:
    """A store of each kind behind its door."""
    plugin = JotaDb(JotaDb.Settings(store=url, listen="127.0.0.1:0", key=SecretStr(BEARER)))
    context = Context(tmp_path)
    (store,) = plugin.jota_memories()
    (door,) = plugin.jota_transports()
    assert isinstance(door, DbDoor)
    try:
        await plugin.jota_setup(context)
        serving = asyncio.create_task(door.serve(None))  # type: ignore[arg-type]  # it asks no session
        while not door.port and not serving.done():
            await asyncio.sleep(0.01)
        async with aiohttp.ClientSession() as http:
            yield Rest(plugin, store, context, http)
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
    finally:
        await context.close()


class OlderServer:
    """A public JotaDB of before, scripted: a door to our own server that lets only that one's routes pass.

    It refuses `extra_data` that is no text; `is_away` answers nothing, `swallows` hands the next message on
    and is away then, `drops` hands the next request that it matches on and does not answer.
    """

    def __init__(self, behind: str, http: aiohttp.ClientSession) -> None:
        self.behind = behind
        self.is_away = self.swallows = False
        self.base = ""
        self.routes = OLD
        self.drops: re.Pattern[str] | None = None
        self._http = http

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if self.is_away:
            raise ConnectionResetError
        if not self.routes.fullmatch(f"{request.method} {request.path}"):
            return web.json_response({"detail": "Not Found"}, status=404)
        body = await request.read()
        if body and not isinstance((await request.json()).get("extra_data", ""), str):
            return web.json_response({"detail": "extra_data must be text"}, status=422)
        names = ("Authorization", "X-API-Key", "X-Client-ID")
        shown = {name: request.headers[name] for name in names if name in request.headers}
        url = self.behind + request.path_qs.replace("limit=1000000", "limit=1000")  # ours has a limit
        async with self._http.request(request.method, url, data=body or None, headers=shown) as told:
            answer = web.Response(body=await told.read(), status=told.status, content_type=told.content_type)
        if self.swallows and request.method == "POST" and request.path.endswith("/messages"):
            self.swallows, self.is_away = False, True
            raise ConnectionResetError
        if self.drops is not None and self.drops.fullmatch(f"{request.method} {request.path}"):
            self.drops = None
            raise ConnectionResetError
        return answer


@pytest.fixture
async def older(rest: Rest) -> AsyncIterator[OlderServer]:
    async with aiohttp.ClientSession() as http:
        found = OlderServer(rest.base, http)
        runner = web.ServerRunner(web.Server(found.answer))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield found
        await runner.cleanup()


@pytest.fixture
def context_kind() -> type[Context]:
    return Context


@pytest.fixture
def client() -> Running:
    return far


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
def shared_url(postgres: PostgresServer) -> str:
    """An empty database that several hosts may share."""
    return postgres.create(f"test_{secrets.token_hex(8)}")


@pytest.fixture
async def store(tmp_path: Path, url: str) -> AsyncIterator[MemoryStore]:
    async with running(tmp_path, store=url) as (_, store):
        yield store
