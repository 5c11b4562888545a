"""Server-sent events: an answer as it grows, over plain HTTP."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from jota_core.api import Delta, ReplyEvent, ReplySink, Status, TurnBegan, TurnEnded

from ..ws.frames import JsonStyle, end_frame

log = logging.getLogger(__name__)


class EventStream(ReplySink):
    """Writes one turn as events; the response starts with the first of them."""

    def __init__(self, request: web.Request, slow_s: float) -> None:
        self._request = request
        self._slow_s = slow_s
        self._style = JsonStyle()
        self._response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
        )
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def send(self, event: ReplyEvent) -> None:
        try:
            async with asyncio.timeout(self._slow_s):
                await self._write(self._frame(event))
        except TimeoutError:
            log.info("A client did not read for %g s and was cut (slow_consumer).", self._slow_s)
            if self._request.transport is not None:
                self._request.transport.abort()
        except ConnectionError:
            pass  # the app is gone: aiohttp cancels the handler, which closes the session
        if isinstance(event, TurnEnded) and not self._ended.done():
            self._ended.set_result(None)

    async def _write(self, frame: bytes) -> None:
        if not self._response.prepared:
            await self._response.prepare(self._request)
        await self._response.write(b"data: " + frame + b"\n\n")

    def _frame(self, event: ReplyEvent) -> bytes:
        if type(event) is Delta:
            return self._style.token(event.text)
        if isinstance(event, TurnBegan):
            return self._style.began(event, None)
        if isinstance(event, Status):
            return self._style.frame({"type": "status", "content": event.text, "turn_id": event.turn_id})
        assert isinstance(event, TurnEnded)
        return self._style.frame(end_frame(event))

    async def ended(self) -> web.StreamResponse:
        """Wait for the end of the turn; returns the response, written whole."""
        await self._ended
        return self._response
