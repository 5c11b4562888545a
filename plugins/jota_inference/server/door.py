"""The Inference Center's door: listens, checks who comes, and gives each connection its peer."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from jota_core.api import (
    Code,
    Credentials,
    Health,
    LanOffer,
    PluginContext,
    Principal,
    Refused,
    Sessions,
    TaskOwner,
    Transport,
)

from .lan import OnLan
from .session import Totals
from .settings import CenterSettings

if TYPE_CHECKING:
    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response

    from .metrics import Metrics
    from .peer import Peer

HANDSHAKE_S = 10.0
PING_S = 30.0
WRITE_LIMIT = 64 * 1024
CUT_S = 3.0
"""So long before the deadline of a drain what still runs is cut."""
WRONG_KEY_S = 0.5
"""A wrong key is answered so late."""

quiet = logging.getLogger(f"{__name__}.protocol")
quiet.setLevel(logging.WARNING)


class Center(Transport):
    """Offers `Sessions.inference` to other machines. Set `context` before serving."""

    context: PluginContext
    sessions: Sessions
    metrics: Metrics

    def __init__(self, settings: CenterSettings) -> None:
        self.settings = settings
        self.began = monotonic()
        self.draining = False
        self.totals = Totals()
        self._peers: set[Peer] = set()
        self._admitted: WeakKeyDictionary[ServerConnection, Principal] = WeakKeyDictionary()
        self._listener: Server | None = None
        self._lan = OnLan(settings)

    async def serve(self, sessions: Sessions) -> None:
        from websockets.asyncio.server import serve

        from ..wire import OUR_FRAME
        from .metrics import Metrics

        self.sessions, self.draining = sessions, False
        self.metrics = Metrics(self.totals, lambda: sum(len(peer.sessions) for peer in self._peers))
        host, port = self.settings.address
        async with serve(
            self._attend, host, port, process_request=self._knock, compression=None, max_size=OUR_FRAME,
            write_limit=WRITE_LIMIT, open_timeout=HANDSHAKE_S, ping_interval=PING_S, server_header="Jota",
            logger=quiet, reuse_port=self.settings.reuse_port or None,
        ) as self._listener:  # fmt: skip
            self.context.log.info("Inference Center on ws://%s", self.settings.listen)
            self.context.ready()
            try:
                await self._lan.know_models(sessions)
            finally:
                await asyncio.gather(*(peer.close() for peer in list(self._peers)))

    async def drain(self, deadline_s: float) -> None:
        """Take nobody and nothing in any more; running prompts may end, and are cut at the deadline."""
        self.draining = True
        if self._listener is not None:
            self._listener.server.close()
        limit_s = max(0.0, deadline_s - CUT_S)
        await asyncio.gather(*(peer.drain(limit_s) for peer in list(self._peers)))

    def live(self, client_id: str) -> int:
        """Sessions of one client, over all its connections."""
        return sum(
            len(peer.sessions) for peer in self._peers if peer.principal and peer.principal.id == client_id
        )

    async def identify(self, client_id: str, key: str, address: str | None) -> Principal | None:
        """Who this is; None for wrong credentials, after a while. Raises `Refused` when nobody can tell."""
        credentials = Credentials(self.context.section, client_id, key, address)
        try:
            principal = await self.sessions.authenticate(credentials)
        except Refused as refused:
            if refused.code not in (Code.UNAUTHORIZED, Code.FORBIDDEN):
                raise
        else:
            if "service" in principal.roles:
                return principal
        await asyncio.sleep(WRONG_KEY_S)
        return None

    def offers(self) -> Sequence[LanOffer]:
        listener = self._listener
        if listener is None or self.draining or not listener.is_serving():
            return ()
        return self._lan.offers(listener, self.totals)

    async def _knock(self, socket: ServerConnection, request: Request) -> Response | None:
        """Before the upgrade: a proof for who asks for one, a refusal, or None to go on."""
        return self._lan.prove(socket, request) or await self._admit(socket, request)

    async def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        """401 or 503, or None to go on."""
        if len(self._peers) >= self.settings.max_connections:
            return _refusal(socket, HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections")
        client, key = request.headers.get("X-Client-ID"), request.headers.get("X-API-Key")
        if client is None and key is None and not self.settings.headers_required:
            return None
        if not client or not key:
            return _refusal(socket, HTTPStatus.UNAUTHORIZED, "Missing X-Client-ID or X-API-Key headers")
        try:
            principal = await self.identify(client, key, socket.remote_address[0])
        except Refused as refused:
            return _refusal(socket, HTTPStatus.SERVICE_UNAVAILABLE, refused.sentence)
        if principal is None:
            return _refusal(socket, HTTPStatus.UNAUTHORIZED, "Invalid credentials")
        self._admitted[socket] = principal
        return None

    async def _attend(self, socket: ServerConnection) -> None:
        """One connection, from greeting to goodbye."""
        from websockets.exceptions import ConnectionClosed

        from .peer import Peer

        tasks = TaskOwner(f"{self.context.section} peer")
        peer = Peer(self, socket, tasks)
        self._peers.add(peer)
        try:
            await peer.greet(self._admitted.get(socket))
            async with _limit(peer, self.settings.auth_s) as patience:
                async for text in socket:
                    await peer.received(text)
                    if peer.principal is not None:
                        patience.reschedule(None)
        except TimeoutError:
            await socket.close(1008, "no credentials came")
        except ConnectionClosed:
            pass  # it went without a goodbye
        finally:
            self._peers.discard(peer)
            await peer.close()
            await tasks.close()

    def health(self) -> Health:
        """How many are connected, and what they do."""
        sessions = [session for peer in self._peers for session in peer.sessions.values()]
        running, waiting = self.totals.active, sum(session.waiting for session in sessions)
        said = f"{len(self._peers)} clients, {len(sessions)} sessions, {running} answers under way"
        return Health(True, said, running=running, waiting=waiting)


def _limit(peer: Peer, seconds: float) -> asyncio.Timeout:
    return asyncio.timeout(None if peer.principal else seconds)


def _refusal(socket: ServerConnection, status: HTTPStatus, error: str) -> Response:
    response = socket.respond(status, json.dumps({"error": error}))
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response
