"""The door: opens the listener and serves until it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from jota_core.api import PluginContext, Sessions, Transport, split_listen

if TYPE_CHECKING:
    from aiohttp import web

    from ..people.authenticator import Authenticator
    from ..plugin import JotaDbSettings
    from ..sql.store import SqlStore

GOODBYE_S = 2.0


class DbDoor(Transport):
    """REST for other machines. Set `context` before serving."""

    context: PluginContext

    def __init__(
        self,
        settings: JotaDbSettings,
        authenticator: Authenticator,
        opened: Callable[[], SqlStore],
        changed: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._authenticator = authenticator
        self._opened = opened
        self._changed = changed
        self.port = 0

    async def serve(self, sessions: Sessions) -> None:
        """See `Transport`."""
        from aiohttp import web

        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=GOODBYE_S)
        await runner.setup()
        try:
            host, port = split_listen(self._settings.listen or "")
            site = web.TCPSite(runner, host or None, port)
            await site.start()
            self.port = runner.addresses[0][1]
            self.context.log.info("JotaDB on http://%s:%d", host or "0.0.0.0", self.port)  # noqa: S104
            self.context.ready()
            await asyncio.Event().wait()  # until cancelled
        finally:
            await runner.cleanup()

    def _application(self) -> web.Application:
        from . import pages
        from .application import application
        from .gate import Gate

        settings = self._settings
        gate = Gate(settings.key, self._authenticator, settings.wrong_keys_per_minute)
        return application(pages.all_routes(), gate, self._opened, self._changed)
