"""The door: opens the listener and serves until it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from jota_core.api import (
    MEMORY,
    PROOF_PATH,
    LanOffer,
    PluginContext,
    Prover,
    Sessions,
    Transport,
    split_listen,
)

if TYPE_CHECKING:
    from aiohttp import web
    from pydantic import SecretStr

    from ..people.authenticator import Authenticator
    from ..sql.store import SqlStore

GOODBYE_S = 2.0


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a door listens, and what it wants to be shown."""

    listen: str
    bearer: SecretStr | None
    is_shared: bool = False
    """For other workers of this host: the manager holds the port, and the LAN does not hear of it."""


class DbDoor(Transport):
    """REST for other machines. Set `context` before serving."""

    context: PluginContext

    def __init__(
        self,
        listener: Listener,
        wrong_keys_per_minute: int,
        authenticator: Authenticator,
        opened: Callable[[], SqlStore],
        changed: Callable[[str], None],
    ) -> None:
        self._listener = listener
        self._wrong_keys_per_minute = wrong_keys_per_minute
        self._authenticator = authenticator
        self._opened = opened
        self._changed = changed
        self.port = 0

    async def serve(self, sessions: Sessions) -> None:
        """See `Transport`."""
        # Its models take a while to be made; in a thread the loop goes on meanwhile.
        await asyncio.to_thread(import_module, f"{__package__}.pages")
        from aiohttp import web

        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=GOODBYE_S)
        await runner.setup()
        try:
            host, port = split_listen(self._listener.listen)
            site = web.TCPSite(runner, host or None, port, reuse_port=self._listener.is_shared or None)
            await site.start()
            self.port = runner.addresses[0][1]
            self.context.log.info("JotaDB on http://%s:%d", host or "0.0.0.0", self.port)  # noqa: S104
            self.context.ready()
            await asyncio.Event().wait()  # until cancelled
        finally:
            self.port = 0
            await runner.cleanup()

    def _application(self) -> web.Application:
        from . import pages
        from .application import application
        from .gate import Gate

        bearer = self._listener.bearer
        key = bearer.get_secret_value() if bearer else None
        prover = Prover(lambda _: key)
        gate = Gate(bearer, self._authenticator, self._wrong_keys_per_minute)
        app = application(pages.all_routes(), gate, self._opened, self._changed)

        async def prove(request: web.Request) -> web.Response:
            return _proof(prover, request)

        app.router.add_get(PROOF_PATH, prove)
        return app

    def offers(self) -> Sequence[LanOffer]:
        if not self.port or self._listener.is_shared:
            return ()
        host = split_listen(self._listener.listen)[0]
        return [LanOffer(MEMORY, host, self.port, {"path": "/", "proto": "1", "tls": "0"})]


def _proof(prover: Prover, request: web.Request) -> web.Response:
    """That it knows the bearer; see `jota_core.api.proof`."""
    from aiohttp import web

    local = request.transport.get_extra_info("sockname") if request.transport else ("", 0)
    status, body = prover.answer(request.query, local)
    return web.Response(body=body, status=status, content_type="application/json")
