"""HTTP: health, voices, and OpenAI's route for speech."""

from __future__ import annotations

import asyncio
import io
import secrets
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import soundfile
import soxr
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jota_core.api import Code, JotaError, Refused, Sentences, SpeakOptions

if TYPE_CHECKING:
    from .door import SpeakerDoor

STATUS = {
    Code.UNAUTHORIZED: 401,
    Code.FORBIDDEN: 403,
    Code.INVALID_REQUEST: 400,
    Code.TOO_LARGE: 413,
    Code.TOO_MANY_REQUESTS: 429,
}
KINDS = {
    "wav": ("WAV", "PCM_16", "audio/wav"),
    "flac": ("FLAC", "PCM_16", "audio/flac"),
    "mp3": ("MP3", None, "audio/mpeg"),
    "opus": ("OGG", "OPUS", "audio/ogg"),
}
"""How libsndfile writes each; `pcm` is written by nobody."""
OPUS_RATE = 48_000


class Wish(BaseModel):
    """OpenAI's body; members that are not known are ignored."""

    model_config = ConfigDict(frozen=True)

    input: Annotated[str, Field(min_length=1, max_length=4096)]
    model: str = ""
    voice: Annotated[str, Field(max_length=128)] = ""
    response_format: Literal["wav", "pcm", "mp3", "opus", "flac"] = "wav"
    speed: Annotated[float, Field(ge=0.25, le=4)] = 1.0


class Pages:
    """The routes of one door."""

    def __init__(self, door: SpeakerDoor) -> None:
        self._door = door

    async def health(self, request: web.Request) -> web.Response:
        """The process is there."""
        return web.json_response({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """Whether somebody can speak now."""
        is_ready = self._door.sessions.speech.available
        told = {"status": "ready" if is_ready else "not_ready", "engines": {"jota": is_ready}}
        return web.json_response(told, status=200 if is_ready else 503)

    async def voices(self, request: web.Request) -> web.Response:
        """Who can speak."""
        found = await self._door.sessions.speech.voices()
        return web.json_response(
            {
                "voices": [
                    {"voice_id": each.id, "name": each.name, "language": each.language} for each in found
                ]
            }
        )

    async def speech(self, request: web.Request) -> web.Response:
        """A text in, a recording out."""
        try:
            return await self._speech(request)
        except JotaError as error:
            status = STATUS.get(error.code, 503)
            kind = "invalid_request_error" if status < 500 else "server_error"
            told = {"message": error.sentence, "type": kind, "code": error.code}
            return web.json_response({"error": told}, status=status)

    async def _speech(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        await self._door.identify(token.strip() if scheme.lower() == "bearer" else None, request.remote)
        try:
            wish = Wish.model_validate_json(await request.read())
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "body"
            raise Refused(Code.INVALID_REQUEST, f"`{place}` is not right: {first['msg']}.") from None
        sound = await self._said(wish)
        body, kind = await asyncio.to_thread(_written, sound, self._door.sessions.speech.rate, wish)
        told = {
            "X-Request-Id": secrets.token_hex(8),
            "X-Model-Used": "jota",
            "X-Speed-Used": f"{wish.speed:g}",
        }
        return web.Response(body=body, content_type=kind, headers=told)

    async def _said(self, wish: Wish) -> bytes:
        cutter, options = Sentences(), SpeakOptions(voice=wish.voice or None, speed=wish.speed)
        sound = bytearray()
        for sentence in (*cutter.add(wish.input), cutter.rest()):
            async for piece in self._door.sessions.speech.speak(sentence, options):
                sound += piece
        return bytes(sound)


def _written(sound: bytes, rate: int, wish: Wish) -> tuple[bytes, str]:
    """The recording and its content type. Runs in a thread."""
    if wish.response_format == "pcm":
        return sound, "audio/pcm"
    kind, subtype, content_type = KINDS[wish.response_format]
    samples = np.frombuffer(sound, "<i2").astype(np.float32) / 32768
    if subtype == "OPUS":
        samples, rate = np.asarray(soxr.resample(samples, rate, OPUS_RATE), np.float32), OPUS_RATE
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=kind, subtype=subtype)
    return out.getvalue(), content_type
