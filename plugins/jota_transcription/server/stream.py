"""One WebSocket: config, sound, end; partials and a final go back."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from jota_core.api import (
    BackendError,
    Code,
    JotaError,
    Refused,
    Strained,
    TaskOwner,
    Transcript,
    Utterance,
)

from .config import Config, config_of, ready

if TYPE_CHECKING:
    from .door import TranscriptionDoor

LARGEST = 1_048_576
FULL_S, EMPTY_S = 20.0, 10.0
"""Sound that waits: beyond the first the client is told to pause, below the second to go on."""
DECIDING_S = 60.0
"""The last words are decided by then."""
EVERY = 10
"""Dropped pieces between two warnings."""


class Stream:
    """Serves one client until its final, or until something is wrong."""

    def __init__(self, door: TranscriptionDoor, socket: web.WebSocketResponse, address: str | None) -> None:
        self._door = door
        self._socket = socket
        self._address = address
        self._tasks = TaskOwner(f"{door.context.section} stream")
        self._utterance: Utterance | None = None
        self._may_speak = False
        self._is_paused = False
        self._dropped = 0

    async def run(self) -> None:
        """Until the client leaves or the last word was said."""
        try:
            while not self._socket.closed:
                await self._receive()
        except TimeoutError:
            await self._socket.close(code=1000, message=b"Session timeout")
        finally:
            if self._utterance is not None:
                self._utterance.cancel()
            await self._tasks.close()

    async def _receive(self) -> None:
        waits = self._utterance is not None and self._utterance.is_ended
        message = await self._socket.receive(timeout=DECIDING_S if waits else self._door.settings.idle_s)
        if message.type is WSMsgType.BINARY:
            await self._sound(message.data)
        elif message.type is WSMsgType.TEXT:
            await self._text(message.data)

    async def _text(self, text: str) -> None:
        try:
            fields = orjson.loads(text)
        except orjson.JSONDecodeError:
            await self._error("PARSE_ERROR", "The message is not JSON.")
            return
        kind = fields.get("type") if isinstance(fields, dict) else None
        if not isinstance(kind, str):
            await self._error("INVALID_MESSAGE", "The message has no `type` that is text.")
        elif kind == "config":
            await self._config(fields)
        elif self._utterance is None:
            await self._error("NOT_CONFIGURED", "Send `config` first.")
        elif kind == "end":
            self._utterance.end()
        else:
            await self._error("UNKNOWN_TYPE", f"Unknown message type: {kind[:64]}")

    async def _config(self, fields: dict[str, Any]) -> None:
        try:
            config = config_of(fields)
        except ValueError as error:
            await self._error("CONFIG_ERROR", str(error))
            return
        if await self._is_let_in(config.token):
            await self._begin(config)

    async def _is_let_in(self, token: str | None) -> bool:
        if not self._may_speak:
            try:
                await self._door.identify(token, self._address)
            except Refused as refused:
                known = refused.code in (Code.UNAUTHORIZED, Code.FORBIDDEN)
                code = ("AUTH_FAILED" if token else "AUTH_REQUIRED") if known else "AUTH_UNAVAILABLE"
                await self._error(code, refused.sentence)
                await self._socket.close(code=1008 if known else 1013, message=code.encode())
                return False
            self._may_speak = True
        return True

    async def _begin(self, config: Config) -> None:
        """Sound may come; a second `config` begins anew."""
        if self._utterance is not None:
            self._utterance.cancel()
            await self._tasks.close()
        settings = self._door.settings
        options = config.options(settings.language, settings.max_stream_s)
        utterance = self._utterance = self._door.utterance(options, config.audio)
        self._is_paused, self._dropped = False, 0
        number = f"session-{time.time_ns() // 1_000_000}-{secrets.randbelow(10_000):04}"
        await self._tell(ready(number, options.language or settings.language))
        self._tasks.start("listen", self._listen(utterance))

    async def _sound(self, data: bytes) -> None:
        utterance = self._utterance
        if len(data) > LARGEST:
            await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Frame too large")
        elif utterance is None:
            await self._error("NOT_CONFIGURED", "Send `config` before the sound.")
        elif not utterance.feed(data) and not utterance.is_ended:
            await self._drop()
        elif utterance.waiting_s > FULL_S and not self._is_paused:
            await self._pause(True)
            self._tasks.start("relieve", self._relieve(utterance))

    async def _drop(self) -> None:
        self._dropped += 1
        if self._dropped % EVERY == 1:
            await self._warn()

    async def _warn(self) -> None:
        message = f"Too much sound waits: {self._dropped} pieces were dropped."
        frame = {"type": "warning", "code": "buffer_full", "dropped_chunks": self._dropped}
        await self._tell(frame | {"message": message})

    async def _pause(self, is_paused: bool) -> None:
        self._is_paused = is_paused
        await self._tell({"type": "flow_control", "action": "pause" if is_paused else "resume"})

    async def _listen(self, utterance: Utterance) -> None:
        try:
            async for heard in self._door.sessions.transcription.transcribe(utterance):
                if utterance.is_cancelled:
                    return
                await self._heard(heard)
        except BackendError as error:
            await self._error(error.code.value.upper(), error.sentence)
            await self._socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=error.code.value.encode())
            return
        except JotaError as error:
            await self._error(error.code.value.upper(), error.sentence)
        utterance.end()
        await self._socket.close(code=WSCloseCode.OK)

    async def _relieve(self, utterance: Utterance) -> None:
        """Tell when there is room again; the backend takes sound silently."""
        await utterance.drained(EMPTY_S)
        if self._dropped:
            await self._warn()
            self._dropped = 0
        await self._pause(False)

    async def _heard(self, heard: Transcript | Strained) -> None:
        if isinstance(heard, Strained):
            busy = {"type": "status", "state": "busy", "reason": "gpu_saturated"}
            await self._tell(busy if heard.is_strained else {"type": "status", "state": "ok"})
            return
        frame: dict[str, Any] = {"type": "transcription", "text": heard.text, "is_final": heard.is_final}
        if heard.is_final:
            frame |= {"language": heard.language, "ended_by": heard.ended_by}
        if not heard.is_complete:
            frame |= {"complete": False, "reason": "gpu_saturated_timeout"}
        await self._tell(frame)

    async def _error(self, code: str, message: str) -> None:
        await self._tell({"type": "error", "message": message, "code": code})

    async def _tell(self, frame: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._door.settings.send_s):
                await self._socket.send_str(orjson.dumps(frame).decode())
        except (ConnectionError, TimeoutError):
            await self._give_up()

    async def _give_up(self) -> None:
        """The client is gone, or does not read; should it ever, this is what it finds."""
        if self._utterance is not None:
            self._utterance.cancel()
        self._door.context.log.info("A client did not read what it was told and was cut (slow_consumer).")
        code, reason = WSCloseCode.TRY_AGAIN_LATER, Code.SLOW_CONSUMER.value.encode()
        with suppress(ConnectionError):
            await self._socket.close(code=code, message=reason, drain=False)
