"""From an HTTP request to a WebSocket: check, open the session, take the connection over."""

from __future__ import annotations

from aiohttp import web
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.protocol import Protocol, Side
from websockets.server import ServerProtocol

from jota_core.api import Code, Refused, Session, Sessions

from ..census import Census
from ..chores import Chores
from ..errors import json_response, response_of
from ..gate import Gate, conversation_of
from ..gateway.satellite import Satellite
from ..settings import HttpSettings
from .chat import Chat
from .frames import JsonStyle, RawStyle
from .wire import Listener, Wire, quiet


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
        answer = handshake_of(request)
        if answer.status_code != 101:
            return _no_handshake(answer.status_code)
        chat = Chat(JsonStyle() if typed else RawStyle(), self._chores)
        try:
            chat.session = await self._open(request, chat, lazy=not typed)
        except Refused as error:
            # No close code would reach the app before the handshake; apps know 403 for a bad key.
            return response_of(error, status=403 if error.code is Code.UNAUTHORIZED else None)
        chat.wire = wire_of(chat, self._settings, self._census)
        response = take_over(request, chat, chat.wire, answer.serialize())
        chat.start(request.query.get("model_id"))
        return response

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """The address of voice satellites, who say who they are in their first frame."""
        answer = handshake_of(request)
        if answer.status_code != 101:
            return _no_handshake(answer.status_code)
        satellite = Satellite(self._gate, self._sessions, self._chores, request.remote)
        satellite.wire = wire_of(satellite, self._settings, self._census)
        response = take_over(request, satellite, satellite.wire, answer.serialize())
        satellite.start()
        return response

    async def _open(self, request: web.Request, chat: Chat, *, lazy: bool) -> Session:
        conversation_id = conversation_of(request.query.get("conversation_id"))
        principal = await self._gate.principal(request, request.match_info.get("user_id"))
        new = request.query.get("new") in ("1", "true")
        return await self._sessions.open(
            principal, chat, door=self._gate.section, conversation_id=conversation_id,
            new_conversation=new, lazy=lazy,
        )  # fmt: skip


def handshake_of(request: web.Request) -> Response:
    """Our side of the handshake; another status than 101 when theirs is none."""
    asked = Request(request.raw_path, Headers(request.headers.items()))
    return ServerProtocol(logger=quiet).accept(asked)


def wire_of(listener: Listener, settings: HttpSettings, census: Census) -> Wire:
    """A wire that is not open yet."""
    protocol = Protocol(Side.SERVER, max_size=settings.max_message_bytes, logger=quiet)
    return Wire(protocol, listener, census, settings.slow_s)


def take_over(request: web.Request, listener: Listener, wire: Wire, handshake: bytes) -> web.StreamResponse:
    """From here on the connection is ours; aiohttp is told that it has lost it.

    So an idle WebSocket keeps neither a task nor the request alive.
    """
    http = request.protocol
    transport = http.transport
    if transport is None or transport.is_closing():
        listener.wire_lost()
        raise ConnectionResetError("The app went away during the handshake.")
    early = EarlyBytes()
    http.set_parser(early)  # type: ignore[arg-type]  # any parser with feed_data and feed_eof does
    wire.open(transport, handshake)
    http.transport = None
    http.connection_lost(None)
    wire.data_received(bytes(early.data))
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
