"""The plugin: settings, set-up, retention and health. Heavy libraries are imported in `jota_setup` only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from jota_core.api import (
    Credentials,
    Health,
    MemoryStore,
    Plugin,
    PluginContext,
    Principal,
    Settings,
    TurnDraft,
    hookimpl,
)

from .late import LateStore
from .people.authenticator import Authenticator
from .urls import StoreUrl

if TYPE_CHECKING:
    from .sql.database import Database
    from .sql.store import SqlStore

    Opener = Callable[[StoreUrl, PluginContext], Awaitable[Database]]

RETENTION_EVERY_S = 3600.0


class JotaDbSettings(Settings):
    """Where conversations are kept, and for how long."""

    store: str = "sqlite:///jota.db"
    """URL of the store: a file, or a PostgreSQL database that several hosts may share.

    `sqlite:///jota.db` lies in the data folder, `sqlite:////srv/jota.db` is absolute;
    `postgresql://user:password@server/jota`.
    """
    retention_days: float | None = Field(default=None, gt=0)
    """Conversations that nobody touched for so many days are deleted for good; null keeps everything."""

    @field_validator("store")
    @classmethod
    def _is_known(cls, url: str) -> str:
        StoreUrl(url).check()
        return url


class JotaDb(Plugin[JotaDbSettings]):
    """Keeps conversations in SQLite or PostgreSQL, durable before anything is acknowledged."""

    Settings = JotaDbSettings

    def __init__(self, settings: JotaDbSettings) -> None:
        super().__init__(settings)
        self._memory = LateStore()
        self._authenticator = Authenticator()

    @hookimpl
    def jota_memories(self) -> Sequence[MemoryStore]:
        """The one store of this section; not available before it is set up."""
        return [self._memory]

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Open the store. Raises `NotReady` or `SetupFailed`, each with what to do."""
        url = StoreUrl(self.settings.store)
        database = await (await asyncio.to_thread(_opener, url))(url, ctx)
        store = await asyncio.to_thread(_store, database)
        store.start(ctx.on_close)
        self._memory.inner = store
        ctx.on_close(self._shut)
        ctx.spawn("database", database.tend)
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
        return replace(draft, system=f"{draft.system}\n\n{extra}") if extra else None

    @hookimpl
    async def jota_health(self) -> Health | None:
        """Where the file is, how large it is, and what is wrong with it."""
        store = self._memory.inner
        return await store.health() if store else None

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
