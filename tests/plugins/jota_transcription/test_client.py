"""The client: with our server, and with a scripted one that is as the public C++ service."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.spoken import errors, recording
from jota_core.api import (
    RATE,
    SECOND,
    BackendError,
    Code,
    EndedBy,
    ListenOptions,
    Strained,
    Transcript,
    Utterance,
)
from jota_core.testing import free_port
from jota_transcription.client.backend import FarEars
from jota_transcription.client.settings import TranscriptionSettings

from .conftest import Api


@asynccontextmanager
async def ears(port: int, **settings: Any) -> AsyncIterator[FarEars]:
    async def resolve(host: str) -> tuple[str, ...]:
        return ()

    backend = FarEars(TranscriptionSettings(url=f"ws://127.0.0.1:{port}", **settings))
    keeping = asyncio.create_task(backend.keep(logging.getLogger("jota.ears"), resolve))
    try:
        yield backend
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def until(condition: Callable[[], bool], limit_s: float = 5) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.01)


async def heard(backend: FarEars, sound: Any, ends: bool = True, **options: Any) -> list[Any]:
    utterance = Utterance(ListenOptions(**options))
    for start in range(0, len(sound), 1600):
        utterance.feed(sound[start : start + 1600].tobytes())
    if ends:
        utterance.end()
    return [each async for each in backend.transcribe(utterance)]


@pytest.mark.model
async def test_over_our_own_server(api: Api) -> None:
    async with api() as (_, port), ears(port) as backend:
        await until(lambda: backend.available)
        for name in ("es-locked", "es-echo"):
            told = await heard(backend, recording(name, after_s=2), ends=False, language="es")
            assert told[-1].ended_by is EndedBy.SILENCE and errors(name, told[-1].text) <= 1
        assert backend.health().ok


@pytest.mark.model
async def test_a_server_that_comes_late_and_a_wrong_token(api: Api) -> None:
    port = free_port()
    async with ears(port, token="wrong") as backend:
        await until(lambda: "cannot be reached" in backend.health().detail)
        with pytest.raises(BackendError) as away:
            await heard(backend, recording("es-locked"))
        assert away.value.code is Code.STT_UNAVAILABLE and away.value.retryable
        async with api(port, token="a-token-of-the-test"):
            await until(lambda: backend.available, 8)
            with pytest.raises(BackendError, match="AUTH_FAILED"):
                await heard(backend, recording("es-locked"))
            assert not backend.health().ok and "Look at `token:`" in backend.health().detail


class Public:
    """As the C++ service: no automatic end, no features, texts revised."""

    def __init__(self, script: Callable[[ServerConnection], Any] | None = None) -> None:
        self.frames: list[Any] = []
        self.bytes = 0
        self._script = script

    async def attend(self, socket: ServerConnection) -> None:
        count = 0
        async for message in socket:
            if isinstance(message, bytes):
                self.bytes += len(message)
                count += 1
                if count in (1, 2):
                    words = ("enciende la", "enciende la luz")[count - 1]
                    await tell(socket, type="transcription", text=words, is_final=False)
                if self._script is not None and count == 3:
                    await self._script(socket)
                continue
            self.frames.append(frame := json.loads(message))
            if frame["type"] == "config":
                config = {"language": "es", "sample_rate": 16_000, "beam_size": 1}
                await tell(socket, type="ready", protocol_version=1, session_id="session-1-1", config=config)
            elif frame["type"] == "end":
                await tell(socket, type="transcription", text=" enciende la luz del salón", is_final=True)
                return


async def tell(socket: ServerConnection, **frame: Any) -> None:
    await socket.send(json.dumps(frame))


@asynccontextmanager
async def public(
    script: Callable[[ServerConnection], Any] | None = None,
) -> AsyncIterator[tuple[Public, int]]:
    server = Public(script)
    async with serve(server.attend, "127.0.0.1", 0) as listening:
        yield server, listening.sockets[0].getsockname()[1]


async def test_over_a_public_server_an_utterance_ends_when_its_text_stays_the_same() -> None:
    async with public() as (server, port), ears(port) as backend:
        await until(lambda: backend.available)
        told = await heard(backend, recording("es-locked"), ends=False, language="es")
        assert [each.text for each in told] == ["enciende la", "enciende la luz", "enciende la luz del salón"]
        assert told[-1].is_final and told[-1].ended_by is EndedBy.SILENCE
        assert [frame["type"] for frame in server.frames] == ["config", "end"]
        assert server.bytes == len(recording("es-locked")) * 4


async def test_busy_pause_and_noise_of_a_server() -> None:
    async def script(socket: ServerConnection) -> None:
        await socket.send("no JSON")
        await socket.send("[]")
        await tell(socket, type="status", state="busy", reason="gpu_saturated")
        await tell(socket, type="flow_control", action="pause")
        await asyncio.sleep(0.3)
        await tell(socket, type="flow_control", action="resume")
        await tell(socket, type="status", state="ok")
        await tell(socket, type="new_kind", what=1)

    async with public(script) as (server, port), ears(port) as backend:
        told = await heard(backend, recording("es-locked"))
        assert [each.is_strained for each in told if isinstance(each, Strained)] == [True, False]
        assert isinstance(told[-1], Transcript) and told[-1].is_final and told[-1].ended_by is EndedBy.CALLER
        assert server.bytes == len(recording("es-locked")) * 4


async def test_the_limit_counts_seconds_of_sound_whatever_pieces_it_comes_in() -> None:
    sound, piece = recording("es-locked"), 512
    limit_s = len(sound) / RATE - 0.5
    async with public() as (server, port), ears(port) as backend:
        utterance = Utterance(ListenOptions(limit_s=limit_s, ends_itself=False))

        async def speak() -> None:
            for start in range(0, len(sound), piece):
                await utterance.drained(0)
                utterance.feed(sound[start : start + piece].tobytes())

        speaking = asyncio.create_task(speak())
        async with asyncio.timeout(30):
            told = [each async for each in backend.transcribe(utterance)]
        speaking.cancel()
        last = told[-1]
        assert isinstance(last, Transcript) and last.is_final
        assert [frame["type"] for frame in server.frames] == ["config", "end"]
        assert 0 <= server.bytes / SECOND - limit_s <= 2 * piece / RATE
        assert last.duration_s == pytest.approx(server.bytes / SECOND)


async def test_a_server_that_dies_in_mid_utterance_and_one_that_never_answers() -> None:
    async def die(socket: ServerConnection) -> None:
        socket.transport.abort()

    async def hang(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with public(die) as (_, port), ears(port) as backend:
        with pytest.raises(BackendError) as lost:
            await heard(backend, recording("es-locked"))
        assert lost.value.code is Code.STT_UNAVAILABLE and "Say it again" in lost.value.sentence
        await until(lambda: backend.available)
    async with public(hang) as (_, port), ears(port, final_s=0.3) as backend:
        with pytest.raises(BackendError, match="in time"):
            await heard(backend, recording("es-locked"))


async def test_the_next_utterance_finds_a_warm_connection() -> None:
    async with public() as (_, port), ears(port) as backend:
        for _ in range(3):
            await until(lambda: backend._spare._warm is not None)
            assert (await heard(backend, recording("es-locked")))[-1].is_final
