"""The plugin: settings, set-up, retention and health. Heavy libraries are imported in `jota_setup` only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import SecretStr

from jota_core.api import (
    Credentials,
    Health,
    HttpRoute,
    MemoryStore,
    Plugin,
    PluginContext,
    Principal,
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
from .server.door import DbDoor, Listener
from .settings import FirstSettings, JotaDbSettings
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


class JotaDb(Plugin[JotaDbSettings]):
    """Keeps conversations in SQLite or PostgreSQL, durable before anything is acknowledged."""

    Settings = JotaDbSettings

    @classmethod
    def in_worker(cls, settings: JotaDbSettings, worker: Worker) -> JotaDbSettings | UseFirst:
        """PostgreSQL serves every process; a file is the first one's, which has a door for the others."""
        if not StoreUrl(settings.store).is_file:
            once = {"listen": None, "reminders": False, "retention_days": None}
            return settings if worker.is_first else settings.model_copy(update=once)
        if not worker.is_first:
            return UseFirst("memory")
        served = {"workers_listen": worker.address("memory"), "workers_key": SecretStr(worker.key)}
        return FirstSettings.model_construct(**{**dict(settings), **served})

    def __init__(self, settings: JotaDbSettings) -> None:
        super().__init__(settings)
        self._memory = LateStore()
        first = settings if isinstance(settings, FirstSettings) else None
        self._authenticator = Authenticator(settings.service_key, first.workers_key if first else None)
        self._doors = []
        if settings.listen:
            self._doors.append(self._door(Listener(settings.listen, settings.key)))
        if first:
            self._doors.append(self._door(Listener(first.workers_listen, first.workers_key, is_shared=True)))

    def _door(self, listener: Listener) -> DbDoor:
        wrong = self.settings.wrong_keys_per_minute
        return DbDoor(listener, wrong, self._authenticator, self._memory.opened, self._changed)

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
        """The door for other machines and the one for other workers, where there are to be such."""
        return self._doors

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
        for door in self._doors:
            door.context = ctx
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
