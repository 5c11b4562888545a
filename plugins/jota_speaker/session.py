"""One WebSocket of the public speaker's protocol: text in, sound out, sentence by sentence."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import WSMsgType, web

from jota_core.api import Code, JotaError, Refused, Sentences, SpeakOptions, TaskOwner

if TYPE_CHECKING:
    from .door import SpeakerDoor

AUTH_S = 10.0
MOST_TEXT = 100_000
"""Characters of one token frame."""


class SpeakerSession:
    """From `auth` to `done`."""

    def __init__(self, door: SpeakerDoor, socket: web.WebSocketResponse, address: str | None) -> None:
        self._door = door
        self._socket = socket
        self._address = address
        self._tasks = TaskOwner("speaker session")
        self._options = SpeakOptions()
        self._sentences = Sentences()
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue(door.settings.waiting)
        self._chunk = 0
        self._saying: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until everything was said, or something is wrong."""
        try:
            async with asyncio.timeout(self._door.settings.session_s):
                if await self._is_let_in():
                    self._tasks.start("say", self._say_all())
                    await self._listen()
        except TimeoutError:
            limit_s = self._door.settings.session_s
            await self._error("session_timeout", f"A session has {limit_s:g} s.")
            await self._socket.close(code=1000)
        finally:
            await self._tasks.close()

    async def _is_let_in(self) -> bool:
        try:
            async with asyncio.timeout(AUTH_S):
                fields = _fields(await self._socket.receive())
        except TimeoutError:
            fields = {}
        if fields.get("type") != "auth":
            return await self._refuse("The first frame must be `auth`.", 1008)
        token = fields.get("token")
        try:
            await self._door.identify(token if isinstance(token, str) else None, self._address)
        except Refused as refused:
            return await self._refuse(refused.sentence, 1008)
        except JotaError as error:
            await self._error("auth_error", error.sentence)
            await self._socket.close(code=1011)
            return False
        await self._welcome(fields)
        return True

    async def _refuse(self, reason: str, code: int) -> bool:
        await self._tell({"type": "auth_error", "reason": reason})
        await self._socket.close(code=code)
        return False

    async def _welcome(self, fields: dict[str, Any]) -> None:
        voice, speed = fields.get("voice"), fields.get("speed")
        self._options = SpeakOptions(
            voice=voice if isinstance(voice, str) else None,
            speed=float(speed) if isinstance(speed, int | float) and 0.25 <= speed <= 4 else 1.0,
        )
        voices = {each.id for each in await self._door.sessions.speech.voices()}
        used = self._options.voice if self._options.voice in voices else "auto"
        await self._tell({"type": "auth_ok", "model_used": "jota", "voice_used": used})

    async def _listen(self) -> None:
        while (message := await self._socket.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
            fields = _fields(message)
            kind, text = fields.get("type"), fields.get("text")
            if kind == "token" and isinstance(text, str) and len(text) <= MOST_TEXT:
                await self._put(self._sentences.add(text))
            elif kind == "flush":
                await self._put([self._sentences.rest()])
            elif kind == "interrupt":
                await self._interrupt()
            elif kind == "end":
                await self._put([self._sentences.rest(), None])
            else:
                await self._error("parse_error", "This is none of token, flush, interrupt, end.")

    async def _put(self, sentences: list[Any]) -> None:
        for sentence in sentences:
            if sentence == "":
                continue
            if self._waiting.full():
                await self._error("queue_full", f"{self._waiting.qsize()} sentences wait already.")
                await self._socket.close(code=1013)
                return
            self._waiting.put_nowait(sentence)

    async def _interrupt(self) -> None:
        """What waits is forgotten; what is being said stops."""
        self._sentences = Sentences()
        while not self._waiting.empty():
            self._waiting.get_nowait()
        saying, chunk = self._saying, self._chunk
        if saying is not None:
            saying.cancel()
        await self._tell({"type": "interrupted", "chunk_id": chunk if saying is not None else 0})

    async def _say_all(self) -> None:
        while (sentence := await self._waiting.get()) is not None:
            self._saying = self._tasks.start(f"chunk {self._chunk}", self._say(sentence))
            await asyncio.wait({self._saying})
            failed = not self._saying.cancelled() and self._saying.exception() is not None
            self._saying = None
            self._chunk += 1
            if failed:
                break
        await self._tell({"type": "done"})
        await self._socket.close(code=1000)

    async def _say(self, sentence: str) -> None:
        speech, has_begun = self._door.sessions.speech, False
        try:
            async with aclosing(speech.speak(sentence, self._options)) as sounds:
                async for sound in sounds:
                    if not has_begun:
                        has_begun = True
                        await self._tell({
                            "type": "audio_start", "chunk_id": self._chunk, "sample_rate": speech.rate,
                            "channels": 1, "encoding": "pcm16",
                        })  # fmt: skip
                    async with asyncio.timeout(self._door.settings.send_s):
                        await self._socket.send_bytes(sound)
        except JotaError as error:
            await self._error("synthesis_error", error.sentence)
        except (ConnectionError, TimeoutError):
            await self._socket.close(code=1013, message=Code.SLOW_CONSUMER.value.encode(), drain=False)
        if has_begun:
            await self._tell({"type": "audio_end", "chunk_id": self._chunk})

    async def _error(self, code: str, message: str) -> None:
        await self._tell({"type": "error", "code": code, "message": message})

    async def _tell(self, frame: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._door.settings.send_s):
                await self._socket.send_str(orjson.dumps(frame).decode())
        except (ConnectionError, TimeoutError):
            await self._socket.close(code=1013, message=Code.SLOW_CONSUMER.value.encode(), drain=False)


def _fields(message: Any) -> dict[str, Any]:
    """The frame; nothing when it is none."""
    if message.type is not WSMsgType.TEXT:
        return {}
    try:
        found = orjson.loads(message.data)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
