"""The plugin `jota_zeroconf`: set-up, names, goodbye and health."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib import import_module

from jota_core.api import (
    Health,
    Plugin,
    PluginContext,
    Worker,
    hookimpl,
)

from .keeper import Keeper
from .settings import ZeroconfSettings

GOODBYE_S = 2.0


class JotaZeroconf(Plugin[ZeroconfSettings]):
    """Tells the host what is on the LAN, and the LAN what is on this host."""

    Settings = ZeroconfSettings

    @classmethod
    def in_worker(cls, settings: ZeroconfSettings, worker: Worker) -> ZeroconfSettings:
        """Every process looks around, one announces."""
        return settings if worker.is_first else settings.model_copy(update={"announce": False})

    def __init__(self, settings: ZeroconfSettings) -> None:
        super().__init__(settings)
        self._keeper: Keeper | None = None

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Begin to look around."""
        # zeroconf takes a while to import; in a thread the loop goes on meanwhile.
        await asyncio.to_thread(import_module, "jota_zeroconf.engine")
        self._keeper = Keeper(self.settings, ctx.lan, ctx.data_dir)
        ctx.spawn("look around", self._keeper.keep)

    @hookimpl
    async def jota_resolve_host(self, host: str) -> Sequence[str] | None:
        """Names in `.local`."""
        is_local = host.lower().rstrip(".").endswith(".local")
        return await self._keeper.resolve(host) if self._keeper and is_local else None

    @hookimpl
    async def jota_draining(self) -> None:
        """Say goodbye first, so that nobody comes any more."""
        if self._keeper is not None:
            async with asyncio.timeout(GOODBYE_S):
                await self._keeper.leave()

    @hookimpl
    async def jota_health(self) -> Health | None:
        """Where it looks around, and what it announces."""
        keeper = self._keeper
        if keeper is None:
            return None
        if keeper.trouble:
            return Health(keeper.is_alone, keeper.trouble)
        told = ", ".join(f"{offer.kind} on {offer.port}" for offer in keeper.announced) or "nothing"
        dropped = sum(keeper.dropped.values())
        ignored = f" {dropped} malformed announcements were ignored." if dropped else ""
        return Health(True, f"{keeper.host}.local announces {told}.{ignored}")
