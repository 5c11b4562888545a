"""Wyoming, as Home Assistant speaks it: `describe` and `synthesize` over TCP.

A frame is a line of JSON with `type`, then `data_length` bytes of JSON and `payload_length` bytes.
Source: the README of the package wyoming.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import orjson

from jota_core.api import JotaError, Sentences, Sessions, SpeakOptions, Voice

MOST = 1_000_000
"""Bytes of one frame."""
IDLE_S = 300.0
SEND_S = 10.0
SOURCE = {"name": "jota", "url": ""}


class WyomingPeer:
    """One connection."""

    def __init__(
        self, sessions: Sessions, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._sessions = sessions
        self._reader = reader
        self._writer = writer
        self._options = SpeakOptions()
        self._streaming: Sentences | None = None
        self._has_begun = False

    async def run(self) -> None:
        """Until it leaves, or sends what is no frame."""
        try:
            while (event := await self._read()) is not None:
                await self._obey(*event)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # it is gone, or silent for too long
        finally:
            self._writer.close()

    async def _read(self) -> tuple[str, dict[str, Any]] | None:
        async with asyncio.timeout(IDLE_S):
            try:
                line = await self._reader.readline()
                head = orjson.loads(line) if line else None
                if not isinstance(head, dict) or not isinstance(head.get("type"), str):
                    return None
                data, payload = (int(head.get(name) or 0) for name in ("data_length", "payload_length"))
                if min(data, payload) < 0 or data + payload > MOST:
                    return None
                more = orjson.loads(await self._reader.readexactly(data)) if data else {}
                await self._reader.readexactly(payload)
                return head["type"], {**(head.get("data") or {}), **more}
            except (ValueError, TypeError):  # a line that is too long is one too
                return None

    async def _obey(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "describe":
            await self._write("info", self._info(await self._sessions.speech.voices()))
        elif kind == "ping":
            await self._write("pong", data)
        elif kind == "synthesize" and self._streaming is None:
            self._begin(data)
            await self._say(_sentences(str(data.get("text") or "")))
            await self._stop()
        elif kind == "synthesize-start":
            self._begin(data)
            self._streaming = Sentences()
        elif kind == "synthesize-chunk" and self._streaming is not None:
            await self._say(self._streaming.add(str(data.get("text") or "")))
        elif kind == "synthesize-stop" and self._streaming is not None:
            await self._say([self._streaming.rest()])
            self._streaming = None
            await self._stop()
            await self._write("synthesize-stopped", {})

    def _begin(self, data: dict[str, Any]) -> None:
        voice = data.get("voice")
        voice = voice if isinstance(voice, dict) else {}
        self._options = SpeakOptions(_text(voice.get("language")), _text(voice.get("name")))
        self._has_begun = False

    async def _say(self, sentences: list[str]) -> None:
        speech = self._sessions.speech
        try:
            for sentence in filter(None, sentences):
                async with aclosing(speech.speak(sentence, self._options)) as sounds:
                    async for sound in sounds:
                        await self._start(speech.rate)
                        await self._write("audio-chunk", _sound(speech.rate), sound)
        except JotaError as error:
            await self._write("error", {"text": error.sentence, "code": error.code})

    async def _start(self, rate: int) -> None:
        if not self._has_begun:
            self._has_begun = True
            await self._write("audio-start", _sound(rate))

    async def _stop(self) -> None:
        """Always: who waits for sound must learn that there is no more."""
        if not self._has_begun:
            await self._write("audio-start", _sound(24_000))
        await self._write("audio-stop", {"timestamp": 0})

    async def _write(self, kind: str, data: dict[str, Any], payload: bytes = b"") -> None:
        head: dict[str, Any] = {"type": kind, "version": "1.5.3", "data": data}
        if payload:
            head["payload_length"] = len(payload)
        self._writer.write(orjson.dumps(head) + b"\n" + payload)
        async with asyncio.timeout(SEND_S):
            await self._writer.drain()

    def _info(self, voices: Any) -> dict[str, Any]:
        languages = sorted({each.language for each in voices})
        program = {
            "name": "jota", "description": "Jota's voices", "attribution": SOURCE, "installed": True,
            "version": "1", "languages": languages, "supports_synthesize_streaming": True,
            "voices": [_voice(each) for each in voices],
        }  # fmt: skip
        return {"asr": [], "tts": [program], "wake": [], "handle": [], "intent": [], "mic": [], "snd": []}


def _voice(voice: Voice) -> dict[str, Any]:
    return {
        "name": voice.id, "description": voice.name, "attribution": SOURCE, "installed": True,
        "version": "1", "languages": [voice.language], "speakers": [],
    }  # fmt: skip


def _sound(rate: int) -> dict[str, int]:
    return {"rate": rate, "width": 2, "channels": 1}


def _sentences(text: str) -> list[str]:
    cutter = Sentences()
    return [*cutter.add(text), cutter.rest()]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
