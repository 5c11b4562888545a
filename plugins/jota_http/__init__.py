"""The app door: chat over WebSocket and REST, for phones, browsers, scripts and `jota chat`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib import import_module

from jota_core.api import (
    Credentials,
    Health,
    Plugin,
    PluginContext,
    Principal,
    ReminderDue,
    SetupFailed,
    Transport,
    Worker,
    hookimpl,
)

from .door import HttpDoor
from .keys import StaticKeys
from .settings import HttpSettings

NO_KEYS = (
    "It listens on {listen}, which other machines can reach, but has no keys, so anyone could use Jota. "
    "Add a key under `keys:` (`phone: {{key: {{env: JOTA_APP_KEY}}}}`), or set `keys_required: true` and "
    "make keys with `jota clients add`, or listen on 127.0.0.1."
)
AT_HOME = frozenset({"chat", "admin"})
"""What callers of a door without keys may do: only this machine reaches it, and it is its owner's."""


class JotaHttp(Plugin[HttpSettings]):
    """One listener for apps, and the static keys of `jota.yaml`."""

    Settings = HttpSettings

    @classmethod
    def in_worker(cls, settings: HttpSettings, worker: Worker) -> HttpSettings:
        """Every process listens on the one port; the kernel spreads the connections."""
        return settings.model_copy(update={"reuse_port": worker.count > 1})

    def __init__(self, settings: HttpSettings) -> None:
        super().__init__(settings)
        self._keys = StaticKeys(settings)
        self._door = HttpDoor(settings)
        self._section = ""

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Refuse a listener that strangers could use. Raises `SetupFailed`."""
        if not self.settings.is_loopback and self.settings.is_open:
            raise SetupFailed(NO_KEYS.format(listen=self.settings.listen))
        # aiohttp takes a while to import; in a thread the loop goes on meanwhile.
        await asyncio.to_thread(import_module, "jota_http.application")
        self._section = ctx.section
        self._door.context = ctx
        ctx.subscribe(ReminderDue, self._door.remind)

    @hookimpl
    def jota_transports(self) -> Sequence[Transport]:
        return [self._door]

    @hookimpl
    async def jota_authenticate(self, credentials: Credentials) -> Principal | None:
        """Static keys count at every door; a door without keys is open, which only loopback may be."""
        if self.settings.keys:
            return self._keys.principal(credentials)
        if self.settings.is_open and credentials.door == self._section:
            return Principal(credentials.user_id or self.settings.default_user, AT_HOME)
        return None

    @hookimpl
    async def jota_draining(self) -> None:
        self._door.drain()

    @hookimpl
    async def jota_health(self) -> Health | None:
        return self._door.health()
