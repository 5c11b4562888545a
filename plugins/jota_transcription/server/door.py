"""The door itself: one listener for WebSockets at any path and for HTTP."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from jota_core.api import (
    PROOF_PATH,
    TRANSCRIPTION,
    AudioFormat,
    Code,
    Credentials,
    Health,
    LanOffer,
    ListenOptions,
    Patience,
    PluginContext,
    Principal,
    Refused,
    Sessions,
    TaskOwner,
    Transport,
    Utterance,
    WrongKeys,
)

from .settings import ApiSettings

if TYPE_CHECKING:
    from aiohttp import web

GOODBYE_S = 1.5
WRONG_PER_MINUTE = 10


class TranscriptionDoor(Transport):
    """Offers `Sessions.transcription` to other machines. Set `context` before serving."""

    context: PluginContext
    sessions: Sessions

    def __init__(self, settings: ApiSettings) -> None:
        self.settings = settings
        self.tasks = TaskOwner("transcription")
        self.port = 0
        """Where it listens; 0 while it does not."""
        self._open: Counter[str | None] = Counter()
        self._sockets: set[web.WebSocketResponse] = set()
        self._wrong = WrongKeys(WRONG_PER_MINUTE)
        self._patience = Patience(settings.send_s + GOODBYE_S)

    async def serve(self, sessions: Sessions) -> None:
        from aiohttp import web

        self.sessions = sessions
        # Libraries of sound take a third of a second to load, in which nobody else should have to wait.
        await asyncio.to_thread(import_module, f"{__package__}.files")
        runner = web.AppRunner(self._application(), shutdown_timeout=GOODBYE_S, handler_cancellation=True)
        await runner.setup()
        try:
            host, port = self.settings.address
            await web.TCPSite(runner, host or None, port, reuse_port=self.settings.reuse_port or None).start()
            self.port = runner.addresses[0][1]
            self.context.log.info("Transcription API on ws://%s", self.settings.listen)
            self.context.ready()
            await asyncio.get_running_loop().create_future()
        finally:
            self.port = 0
            leaving = list(self._sockets)
            await asyncio.gather(
                *(each.close(code=1001, message=b"server_restart", drain=False) for each in leaving)
            )
            await runner.cleanup()
            self._patience.close()
            await self.tasks.close()

    def _application(self) -> web.Application:
        from aiohttp import web

        from .files import Files
        from .pages import Pages

        pages = Pages(self)
        application = web.Application(client_max_size=self.settings.max_upload_bytes * 2)
        application.router.add_get("/health", pages.health)
        application.router.add_get(PROOF_PATH, pages.prove)
        application.router.add_get("/ready", pages.ready)
        application.router.add_get("/metrics", pages.metrics)
        application.router.add_post("/v1/audio/transcriptions", Files(self).transcribe)
        application.router.add_route("*", "/{path:.*}", self._upgrade)
        return application

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        """Any path is a stream."""
        from aiohttp import web

        from .files import refusal
        from .pages import NOT_FOUND
        from .stream import Stream

        socket = web.WebSocketResponse(
            max_msg_size=4 * 1024 * 1024, compress=False
        )  # `idle_s` is its heartbeat
        if not socket.can_prepare(request).ok:
            return web.json_response(NOT_FOUND, status=404)
        settings, address = self.settings, request.remote
        is_full = len(self._sockets) >= settings.max_connections
        if is_full or self._open[address] >= settings.max_connections_per_address:
            return refusal(Refused(Code.BUSY, "Too many connections. Try again in a moment.", 2.0))
        await socket.prepare(request)
        self._patience.watch(request.transport)
        self._sockets.add(socket)
        self._open[address] += 1
        try:
            await Stream(self, socket, address).run()
        finally:
            self._sockets.discard(socket)
            self._open[address] -= 1
            self._open += Counter()  # forgets those at zero
        return socket

    def offers(self) -> Sequence[LanOffer]:
        if not self.port:
            return ()
        settings, load = self.settings, str(self.connections)
        txt = {"path": "/", "proto": "1", "tls": "0", "lang": settings.language, "load": load}
        return [LanOffer(TRANSCRIPTION, settings.address[0], self.port, txt)]

    async def identify(self, token: str | None, address: str | None) -> Principal:
        """Whose token it is. Raises `Refused`."""
        self._wrong.check(address)
        try:
            return await self.sessions.authenticate(Credentials(self.context.section, None, token, address))
        except Refused as refused:
            if refused.code is Code.UNAUTHORIZED and token is not None:
                await asyncio.sleep(self._wrong.count(address))
            raise

    def utterance(self, options: ListenOptions, audio: AudioFormat) -> Utterance:
        """One that takes sound of this kind."""
        return self.sessions.utterance(options, audio)

    @property
    def connections(self) -> int:
        """Streams now."""
        return len(self._sockets)

    def health(self) -> Health:
        """How many are connected."""
        return Health(True, f"{len(self._sockets)} streams.")
