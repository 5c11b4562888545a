"""The doors: one listener for WebSocket and HTTP, one for Wyoming."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jota_core.api import (
    Code,
    Credentials,
    Health,
    Patience,
    PluginContext,
    Principal,
    Refused,
    Sessions,
    TaskOwner,
    Transport,
    WrongKeys,
    split_listen,
)

from .settings import SpeakerSettings

if TYPE_CHECKING:
    from aiohttp import web

GOODBYE_S = 1.5
LINE = 256 * 1024
WRONG_PER_MINUTE = 10


class SpeakerDoor(Transport):
    """Offers `Sessions.speech` to other machines. Set `context` before serving."""

    context: PluginContext
    sessions: Sessions

    def __init__(self, settings: SpeakerSettings) -> None:
        self.settings = settings
        self._sockets: set[web.WebSocketResponse] = set()
        self._peers = TaskOwner("wyoming")
        self._wrong = WrongKeys(WRONG_PER_MINUTE)
        self._patience = Patience(settings.send_s + GOODBYE_S)

    async def serve(self, sessions: Sessions) -> None:
        from aiohttp import web

        self.sessions = sessions
        runner = web.AppRunner(self._application(), shutdown_timeout=GOODBYE_S, handler_cancellation=True)
        await runner.setup()
        wyoming: asyncio.Server | None = None
        try:
            host, port = split_listen(self.settings.listen)
            await web.TCPSite(runner, host or None, port).start()
            if self.settings.wyoming is not None:
                host, port = split_listen(self.settings.wyoming)
                wyoming = await asyncio.start_server(self._attend, host or None, port, limit=LINE)
            self.context.log.info("Speaker on ws://%s/ws", self.settings.listen)
            self.context.ready()
            await asyncio.get_running_loop().create_future()
        finally:
            if wyoming is not None:
                wyoming.close()
            leaving = list(self._sockets)
            await asyncio.gather(
                *(each.close(code=1001, message=b"server_restart", drain=False) for each in leaving)
            )
            await self._peers.close()
            await runner.cleanup()
            self._patience.close()

    def _application(self) -> web.Application:
        from aiohttp import web

        from .pages import Pages

        pages, application = Pages(self), web.Application(client_max_size=65_536)
        application.router.add_get("/ws", self._upgrade)
        application.router.add_get("/health", pages.health)
        application.router.add_get("/ready", pages.ready)
        application.router.add_get("/v1/voices", pages.voices)
        application.router.add_post("/v1/audio/speech", pages.speech)
        return application

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        from .session import SpeakerSession

        if len(self._sockets) >= self.settings.max_connections:
            raise web.HTTPServiceUnavailable(text="Too many connections. Try again in a moment.")
        socket = web.WebSocketResponse(max_msg_size=1_048_576, compress=False)
        await socket.prepare(request)
        self._patience.watch(request.transport)
        self._sockets.add(socket)
        try:
            await SpeakerSession(self, socket, request.remote).run()
        finally:
            self._sockets.discard(socket)
        return socket

    def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from .wyoming import WyomingPeer

        if len(self._peers) >= self.settings.max_connections:
            writer.close()
        else:
            self._peers.start("peer", WyomingPeer(self.sessions, reader, writer).run())

    async def identify(self, token: str | None, address: str | None) -> Principal:
        """Whose token it is. Raises `Refused`."""
        self._wrong.check(address)
        try:
            return await self.sessions.authenticate(Credentials(self.context.section, None, token, address))
        except Refused as refused:
            if refused.code is Code.UNAUTHORIZED and token is not None:
                await asyncio.sleep(self._wrong.count(address))
            raise

    def health(self) -> Health:
        """How many are connected."""
        return Health(True, f"{len(self._sockets)} sessions, {len(self._peers)} of Wyoming.")
