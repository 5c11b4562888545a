"""From an HTTP request to a WebSocket: check, open the session, take the connection over."""

from __future__ import annotations

from aiohttp import web
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.protocol import Protocol, Side
from websockets.server import ServerProtocol

from jota_core.api import Code, Refused, Session, Sessions

from ..census import Census
from ..chores import Chores
from ..errors import json_response, response_of
from ..gate import Gate, conversation_of
from ..settings import HttpSettings
from .chat import Chat
from .frames import JsonStyle, RawStyle
from .wire import Wire, quiet


class Upgrade:
    """Handles every WebSocket address of the door."""

    def __init__(
        self, gate: Gate, sessions: Sessions, settings: HttpSettings, census: Census, chores: Chores
    ) -> None:
        self._gate = gate
        self._sessions = sessions
        self._settings = settings
        self._census = census
        self._chores = chores

    async def raw(self, request: web.Request) -> web.StreamResponse:
        """The oldest addresses: raw text, unless `?frames=json` asks for more."""
        return await self._serve(request, typed=request.query.get("frames") == "json")

    async def typed(self, request: web.Request) -> web.StreamResponse:
        """The newer addresses: always typed frames."""
        return await self._serve(request, typed=True)

    async def _serve(self, request: web.Request, *, typed: bool) -> web.StreamResponse:
        answer = ServerProtocol(logger=quiet).accept(
            Request(request.raw_path, Headers(request.headers.items()))
        )
        if answer.status_code != 101:
            return _no_handshake(answer.status_code)
        chat = Chat(JsonStyle() if typed else RawStyle(), self._chores)
        try:
            chat.session = await self._open(request, chat, lazy=not typed)
        except Refused as error:
            # No close code would reach the app before the handshake; apps know 403 for a bad key.
            return response_of(error, status=403 if error.code is Code.UNAUTHORIZED else None)
        protocol = Protocol(Side.SERVER, max_size=self._settings.max_message_bytes, logger=quiet)
        chat.wire = Wire(protocol, chat, self._census, self._settings.slow_s)
        return self._take_over(request, chat, answer.serialize())

    async def _open(self, request: web.Request, chat: Chat, *, lazy: bool) -> Session:
        conversation_id = conversation_of(request.query.get("conversation_id"))
        principal = await self._gate.principal(request, request.match_info.get("user_id"))
        new = request.query.get("new") in ("1", "true")
        return await self._sessions.open(
            principal, chat, door=self._gate.section, conversation_id=conversation_id,
            new_conversation=new, lazy=lazy,
        )  # fmt: skip

    def _take_over(self, request: web.Request, chat: Chat, handshake: bytes) -> web.StreamResponse:
        """From here on the connection is ours; aiohttp is told that it has lost it.

        So an idle WebSocket keeps neither a task nor the request alive.
        """
        http = request.protocol
        transport = http.transport
        if transport is None or transport.is_closing():
            chat.wire_lost()
            raise ConnectionResetError("The app went away during the handshake.")
        early = EarlyBytes()
        http.set_parser(early)  # type: ignore[arg-type]  # any parser with feed_data and feed_eof does
        chat.wire.open(transport, handshake)
        http.transport = None
        http.connection_lost(None)
        chat.wire.data_received(bytes(early.data))
        chat.start(request.query.get("model_id"))
        return web.Response(status=101)


class EarlyBytes:
    """Catches what an impatient app has sent before it saw our side of the handshake."""

    def __init__(self) -> None:
        self.data = bytearray()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take bytes as aiohttp hands them over."""
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """Nothing more comes through aiohttp."""


def _no_handshake(status: int) -> web.Response:
    sentence = "This address speaks WebSocket. Connect with a WebSocket client."
    response = json_response(
        {"status": "error", "code": Code.INVALID_REQUEST, "message": sentence}, status=status
    )
    if status == 426:
        response.headers["Upgrade"] = "websocket"
    return response
