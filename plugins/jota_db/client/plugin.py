"""The plugin `jota_db_client`: settings, set-up and health."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from jota_core.api import (
    AuthFailed,
    Code,
    Credentials,
    Destination,
    Health,
    MemoryStore,
    MemoryStoreError,
    Plugin,
    PluginContext,
    Principal,
    ServiceMatcher,
    ServiceRecord,
    TurnDraft,
    hookimpl,
)

from ..late import Late
from .settings import JotaDbClientSettings

if TYPE_CHECKING:
    from .older import AnyWire
    from .people import FarPeople
    from .replay import Replay
    from .spool import Spool
    from .store import FarStore
    from .whereabouts import Whereabouts


class JotaDbClient(Plugin[JotaDbClientSettings]):
    """Uses the JotaDB of another machine as memory, and asks it who is who."""

    Settings = JotaDbClientSettings
    in_each_worker = True

    def __init__(self, settings: JotaDbClientSettings) -> None:
        super().__init__(settings)
        self._memory: Late[FarStore] = Late()
        self._wire: AnyWire | None = None
        self._people: FarPeople | None = None
        self._replay: Replay | None = None
        self._spool: Spool | None = None
        self._whereabouts: Whereabouts | None = None

    @hookimpl
    def jota_service_matchers(self) -> Sequence[ServiceMatcher]:
        """A JotaDB on the LAN, with `url: discover`."""
        return Destination(self.settings.far).matchers

    @hookimpl
    async def jota_service_found(self, service: ServiceRecord) -> None:
        """Ask it now."""
        if self._whereabouts is not None and self._replay is not None:
            self._whereabouts.found(service)
            self._replay.soon()

    @hookimpl
    async def jota_service_lost(self, service: ServiceRecord) -> None:
        """It has left; what is under way finds out by itself."""
        if self._whereabouts is not None:
            self._whereabouts.lost(service)

    @hookimpl
    def jota_memories(self) -> Sequence[MemoryStore]:
        return [self._memory]

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Open the spool and look for the server; without it, turns begin as soon as it was there once.

        Raises `AuthFailed` when it does not accept our keys.
        """
        # aiohttp takes a while to import; in a thread the loop goes on meanwhile.
        await asyncio.to_thread(import_module, "jota_db.client.wire")
        from .older import AnyWire
        from .people import FarPeople
        from .replay import Replay
        from .spool import Spool
        from .store import FarStore
        from .whereabouts import Whereabouts
        from .wire import Away

        spool = self._spool = await Spool.opened(ctx.data_dir / f"{ctx.section}.spool.db")
        ctx.on_close(spool.close)
        file = ctx.data_dir / f"{ctx.section}.lan-id"
        where = self._whereabouts = Whereabouts(self.settings, ctx.lan.resolve, file)
        wire = self._wire = AnyWire(self.settings, where)
        ctx.on_close(wire.close)
        replay = self._replay = Replay(wire, spool, ctx.log)
        try:
            await replay.drain()
        except Away as error:
            ctx.log.warning("%s", error.sentence)
        except MemoryStoreError as error:
            if error.code in (Code.UNAUTHORIZED, Code.FORBIDDEN):
                raise AuthFailed(f"{error.sentence} Look at `bearer:` and `key:`.") from error
            raise
        self._people = FarPeople(wire, spool, replay)
        self._memory.inner = FarStore(wire, spool, replay, self.settings.spool_limit)
        ctx.on_close(self._shut)
        ctx.spawn("replay", replay.keep)

    @hookimpl
    async def jota_authenticate(self, credentials: Credentials) -> Principal | None:
        """Keys of that JotaDB count at every door. Raises `MemoryStoreError` when it cannot be told."""
        return await self._people.principal(credentials) if self._people else None

    @hookimpl
    async def jota_prepare_turn(self, draft: TurnDraft) -> TurnDraft | None:
        """Add what the client wants the assistant to know."""
        extra = await self._people.prompt_extra(draft.principal.id) if self._people else None
        return replace(draft, system=f"{draft.system}\n\n{extra}") if extra else None

    @hookimpl
    async def jota_health(self) -> Health | None:
        """Whether the server is there, and how much waits for it."""
        if self._replay is None or self._spool is None:
            return None
        if self._replay.is_direct:
            older = " An older one: it cannot search, and keeps an answer once it is whole."
            is_older = self._wire is not None and self._wire.is_older
            return Health(True, f"JotaDB at {self._at}.{older if is_older else ''}")
        hint = self._whereabouts.destination.advice if self._whereabouts else ""
        waiting = f"{self._spool.count} writes wait for its return."
        return Health(False, f"{self._replay.trouble} {waiting}", hint)

    @property
    def _at(self) -> str:
        return self._whereabouts.at if self._whereabouts else self.settings.url

    async def _shut(self) -> None:
        self._memory.inner = None
