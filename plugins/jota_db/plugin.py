"""The plugin: settings, set-up, retention and health. Heavy libraries are imported in `jota_setup` only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr, field_validator

from jota_core.api import (
    Credentials,
    Health,
    HttpRoute,
    MemoryStore,
    Plugin,
    PluginContext,
    Principal,
    Settings,
    SetupFailed,
    Tool,
    Transport,
    TurnDraft,
    UseFirst,
    Worker,
    hookimpl,
    is_loopback,
    split_listen,
)

from .facts.meaning import MISSING, Meaning
from .facts.routes import FactRoutes
from .facts.tool import RememberFact
from .late import LateStore
from .people.authenticator import Authenticator
from .reminders import keep_reminding
from .server.door import DbDoor
from .settling import keep_settling
from .urls import StoreUrl

if TYPE_CHECKING:
    from .sql.database import Database
    from .sql.store import SqlStore

    Opener = Callable[[StoreUrl, PluginContext], Awaitable[Database]]

RETENTION_EVERY_S = 3600.0
NO_KEY = (
    "It listens on {listen}, which other machines can reach, but has no key, so anyone could read it. "
    "Add `key: {{env: JOTA_DB_API_KEY}}` or listen on 127.0.0.1."
)


class JotaDbSettings(Settings):
    """Where conversations are kept, and for how long."""

    store: str = "sqlite:///jota.db"
    """URL of the store: a file, or a PostgreSQL database that several hosts may share.

    `sqlite:///jota.db` lies in the data folder, `sqlite:////srv/jota.db` is absolute;
    `postgresql://user:password@server/jota`.
    """
    listen: str | None = None
    """Offer the store to other machines here (`0.0.0.0:8080`), in the REST of JotaDB; null offers nothing."""
    reuse_port: bool = False
    """Share the port with other processes that do the same; `jota run --workers` sets it."""
    key: SecretStr | None = None
    """What every request to `listen` shows as its bearer; needed beyond this machine."""
    service_key: SecretStr | None = None
    """One key of a service that is made without `jota clients`; `key` is needed with it."""
    wrong_keys_per_minute: int = Field(default=10, gt=0)
    """From one address; more are refused with 429 until the minute is over."""
    reminders: bool = True
    """Let reminders fire, and tell them here; of several workers the first does, for all."""
    facts: bool = True
    """Tell the model long-term facts of a client (`jota memory`) when a message reminds of them."""
    facts_by_meaning: bool = False
    """Think of a fact when its meaning is near, too; needs `pip install "jota[meaning]"`."""
    facts_tool: bool = False
    """Let the model keep facts by itself, with the tool `remember_fact`; for models that can call tools."""
    retention_days: float | None = Field(default=None, gt=0)
    """Conversations that nobody touched for so many days are deleted for good; null keeps everything."""

    @field_validator("listen")
    @classmethod
    def _parse(cls, listen: str | None) -> str | None:
        if listen is not None:
            split_listen(listen)
        return listen

    @field_validator("store")
    @classmethod
    def _is_known(cls, url: str) -> str:
        StoreUrl(url).check()
        return url


class JotaDb(Plugin[JotaDbSettings]):
    """Keeps conversations in SQLite or PostgreSQL, durable before anything is acknowledged."""

    Settings = JotaDbSettings

    @classmethod
    def in_worker(cls, settings: JotaDbSettings, worker: Worker) -> JotaDbSettings | UseFirst:
        """PostgreSQL serves every process; a file is the first one's, which serves the others."""
        if not StoreUrl(settings.store).is_file:
            once = {"listen": None, "reminders": False, "retention_days": None}
            return settings if worker.is_first else settings.model_copy(update=once)
        key = settings.key or SecretStr(worker.key)
        if not worker.is_first and settings.listen:
            port = split_listen(settings.listen)[1]
            return UseFirst("memory", {"url": f"http://127.0.0.1:{port}", "bearer": key})
        if not worker.is_first:
            return UseFirst("memory")
        listen = settings.listen or worker.address("memory")
        served = {"listen": listen, "key": key, "service_key": SecretStr(worker.key)}
        return settings.model_copy(update={**served, "reuse_port": settings.listen is None})

    def __init__(self, settings: JotaDbSettings) -> None:
        super().__init__(settings)
        self._memory = LateStore()
        key = settings.service_key
        self._authenticator = Authenticator(key.get_secret_value() if key else None)
        self._door = DbDoor(settings, self._authenticator, self._memory.opened, self._changed)

    @hookimpl
    def jota_memories(self) -> Sequence[MemoryStore]:
        """The one store of this section; not available before it is set up."""
        return [self._memory]

    @hookimpl
    def jota_tools(self) -> Sequence[Tool]:
        """The tool that keeps facts."""
        tool = RememberFact(self._memory.opened, self._memory.facts_changed)
        return [tool] if self.settings.facts_tool else []

    @hookimpl
    def jota_http_routes(self) -> Sequence[HttpRoute]:
        """Facts for their owners."""
        memory = self._memory
        return FactRoutes(memory.opened, memory.facts_changed).all() if self.settings.facts else []

    @hookimpl
    def jota_transports(self) -> Sequence[Transport]:
        """The door for other machines, where there is to be one."""
        return [self._door] if self.settings.listen else []

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Open the store. Raises `NotReady` or `SetupFailed`, each with what to do."""
        listen = self.settings.listen
        if listen and not self.settings.key and not is_loopback(split_listen(listen)[0]):
            raise SetupFailed(NO_KEY.format(listen=listen))
        if self.settings.facts_by_meaning:
            if not Meaning.is_installed():
                raise SetupFailed(MISSING)
            self._memory.know_by_meaning(Meaning())
        self._door.context = ctx
        url = StoreUrl(self.settings.store)
        database = await (await asyncio.to_thread(_opener, url))(url, ctx)
        store = await asyncio.to_thread(_store, database)
        store.start(ctx.on_close)
        self._memory.inner = store
        ctx.on_close(self._shut)
        ctx.spawn("database", database.tend)
        ctx.spawn("settling", lambda: keep_settling(store, ctx))
        if self.settings.reminders:
            ctx.spawn("reminders", lambda: keep_reminding(store, ctx))
        if self.settings.retention_days is not None:
            ctx.spawn("retention", self._retain)

    @hookimpl
    async def jota_authenticate(self, credentials: Credentials) -> Principal | None:
        """Keys of `jota clients` count at every door. Raises `MemoryStoreError` when it cannot be told."""
        store = self._memory.inner
        return await self._authenticator.principal(store, credentials) if store else None

    @hookimpl
    async def jota_prepare_turn(self, draft: TurnDraft) -> TurnDraft | None:
        """Add what the client wants the assistant to know."""
        extra = (await self._memory.preferences(draft.principal.id)).system_prompt_extra
        if extra:
            draft = replace(draft, system=f"{draft.system}\n\n{extra}")
        known = await self._known(draft) if self.settings.facts else ""
        return replace(draft, notes=(*draft.notes, known)) if known else draft

    async def _known(self, draft: TurnDraft) -> str:
        """Facts that what was said reminds of; behind it, so that the prompt's beginning stays the same."""
        found = await self._memory.relevant_facts(draft.principal.id, draft.text)
        return f"You know: {' '.join(found)}" if found else ""

    @hookimpl
    async def jota_health(self) -> Health | None:
        """Where the file is, how large it is, and what is wrong with it."""
        store = self._memory.inner
        return await store.health() if store else None

    def _changed(self, name: str) -> None:
        """Somebody's key or preferences are others now."""
        self._authenticator.forget()
        self._memory.preferences_changed(name)

    async def _shut(self) -> None:
        self._memory.inner = None

    async def _retain(self) -> None:
        days = self.settings.retention_days
        while days is not None and (store := self._memory.inner) is not None:
            await store.forget_older_than(days)
            await asyncio.sleep(RETENTION_EVERY_S)


def _opener(url: StoreUrl) -> Opener:
    """Import SQLAlchemy and the driver: a tenth of a second that `jota check` does not pay."""
    if url.is_file:
        from .sqlite import opened as open_file

        return open_file
    from .postgres import opened as open_server

    return open_server


def _store(database: Database) -> SqlStore:
    from .sql.store import SqlStore

    return SqlStore(database)
