"""Chat in one request: the whole answer as JSON, or as server-sent events."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from aiohttp import web

from jota_core.api import (
    Code,
    Delta,
    JotaError,
    ReplyEvent,
    ReplySink,
    Session,
    Sessions,
    TurnBegan,
    TurnEnded,
)

from ..errors import body_of, json_response, response_of
from ..gate import Gate
from ..settings import HttpSettings
from .body import ChatBody, read
from .events import EventStream


class Collector(ReplySink):
    """Keeps an answer until it is whole."""

    def __init__(self) -> None:
        self.began: TurnBegan | None = None
        self._pieces: list[str] = []
        self._ended: asyncio.Future[TurnEnded] = asyncio.get_running_loop().create_future()

    async def send(self, event: ReplyEvent) -> None:
        if type(event) is Delta:
            self._pieces.append(event.text)
        elif isinstance(event, TurnBegan):
            self.began = event
        elif isinstance(event, TurnEnded) and not self._ended.done():
            self._ended.set_result(event)

    async def ended(self) -> TurnEnded:
        """Wait for the end."""
        return await self._ended

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._pieces)


class ChatRoutes:
    """`POST /api/v1/chat`, and `POST /chat` for apps of the first days."""

    def __init__(self, gate: Gate, sessions: Sessions, settings: HttpSettings) -> None:
        self._gate = gate
        self._sessions = sessions
        self._slow_s = settings.slow_s

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Honest statuses: what went wrong is told by the status and by `code`."""
        body = await read(request, ChatBody)
        if body.stream:
            return await self._stream(request, body)
        collector = Collector()
        ended = await self._answer(request, body, collector)
        return _told(ended, collector.text)

    async def first_chat(self, request: web.Request) -> web.StreamResponse:
        """As apps of the first days know it: 200 whatever happens, errors of a turn inside the answer."""
        body = await read(request, ChatBody)
        if body.stream:
            return await self._stream(request, body)
        collector = Collector()
        try:
            ended = await self._answer(request, body, collector)
        except JotaError as error:
            refused = body_of(error)
            if error.code is Code.UNAUTHORIZED:
                refused["message"] = "Unauthorized"
            return json_response(refused)
        text = collector.text
        if ended.error is not None:
            text += f" [Error: {ended.error.sentence}]"
        return json_response(_success(ended, text))

    async def _open(self, request: web.Request, body: ChatBody, sink: ReplySink) -> Session:
        principal = await self._gate.principal(request, body.user_id, body.client_key)
        return await self._sessions.open(
            principal, sink, door=self._gate.section, conversation_id=body.conversation_id,
            new_conversation=body.new, lazy=True,
        )  # fmt: skip

    async def _answer(self, request: web.Request, body: ChatBody, collector: Collector) -> TurnEnded:
        """Run one turn; an app that goes away cancels this, and so its turn."""
        session = await self._open(request, body, collector)
        try:
            session.submit(body.text, body.options.options(body.model_id))
            return await collector.ended()
        finally:
            await session.close()

    async def _stream(self, request: web.Request, body: ChatBody) -> web.StreamResponse:
        """The typed frames of the WebSocket, one event each."""
        events = EventStream(request, self._slow_s)
        session = await self._open(request, body, events)
        try:
            session.submit(body.text, body.options.options(body.model_id))
            return await events.ended()
        finally:
            await session.close()


def _success(ended: TurnEnded, text: str) -> dict[str, Any]:
    return {
        "status": "success",
        "response": text,
        "conversation_id": ended.conversation_id,
        "turn_id": ended.turn_id,
        "message_id": ended.message_id,
        "outcome": ended.outcome,
        "persisted": ended.persisted,
        "stats": asdict(ended.stats),
    } | ({"code": ended.error.code} if ended.error else {})


def _told(ended: TurnEnded, text: str) -> web.Response:
    """A turn that failed is an error with the text so far."""
    if ended.error is None:
        return json_response(_success(ended, text))
    error = JotaError(ended.error.code, ended.error.sentence, ended.error.retry_after_s)
    response = response_of(error)
    failed = json_response(_success(ended, text) | body_of(error), status=response.status)
    if "Retry-After" in response.headers:
        failed.headers["Retry-After"] = response.headers["Retry-After"]
    return failed
