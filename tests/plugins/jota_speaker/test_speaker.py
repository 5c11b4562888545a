"""Voices for other machines: the public speaker's protocol, OpenAI's client, Home Assistant's own library."""

from __future__ import annotations

import asyncio
import io
import json
import socket as sockets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import openai
import psutil
import pytest
import soundfile
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped

from jota_core.testing import RunHost, free_port, until

pytestmark = pytest.mark.model
Ports = tuple[int, int]
Speaker = Callable[..., AbstractAsyncContextManager[Ports]]


@pytest.fixture
def speaker(run_host: RunHost) -> Speaker:
    """A host that only speaks; English, whose voice is in its wheel."""

    @asynccontextmanager
    async def running(**settings: Any) -> AsyncIterator[Ports]:
        ports = free_port(), free_port()
        listen = {"listen": f"127.0.0.1:{ports[0]}", "wyoming": f"127.0.0.1:{ports[1]}"}
        door = {"plugin": "jota_speaker", **listen, **settings}
        async with run_host({"plugins": {"mouth": {"plugin": "jota_speech"}, "door": door}}, memory=False):
            yield ports

    return running


async def told(socket: ClientConnection) -> list[Any]:
    """Everything up to the close; sound as bytes."""
    frames: list[Any] = []
    async with asyncio.timeout(30):
        try:
            while True:
                frame = await socket.recv()
                frames.append(frame if isinstance(frame, bytes) else json.loads(frame))
        except ConnectionClosed:
            return frames


async def send(socket: ClientConnection, **frame: Any) -> None:
    await socket.send(json.dumps(frame))


def kinds(frames: list[Any]) -> list[str]:
    return [frame["type"] for frame in frames if isinstance(frame, dict)]


async def test_auth_tokens_end_done(speaker: Speaker) -> None:
    async with speaker() as (port, _):
        for _round in range(2):  # the public one is dumb after its first client
            async with connect(f"ws://127.0.0.1:{port}/ws") as socket:
                await send(socket, type="auth", token="t0k", voice="heart", speed=1.2)
                assert json.loads(await socket.recv())["type"] == "auth_ok"
                for piece in ("The kettle ", "is boiling. Mr", ". Smith paid 3.", "14 for it."):
                    await send(socket, type="token", text=piece)
                await send(socket, type="flush")
                await send(socket, type="end")
                frames = await told(socket)
                assert (
                    kinds(frames) == ["audio_start", "audio_end"] * 2 + ["done"] and socket.close_code == 1000
                )
                assert frames[0] | {"chunk_id": 0} == {
                    "type": "audio_start", "chunk_id": 0, "sample_rate": 24_000, "channels": 1, "encoding": "pcm16",
                }  # fmt: skip
                sound = [frame for frame in frames if isinstance(frame, bytes)]
                assert max(map(len, sound)) == 9600 and sum(map(len, sound)) > 48_000


async def test_interrupt_goes_on_and_wrong_frames_are_told(speaker: Speaker) -> None:
    async with speaker() as (port, _), connect(f"ws://127.0.0.1:{port}/ws") as socket:
        await send(socket, type="auth")
        await socket.recv()
        for wrong in ("no JSON", "[]", '{"type":"sing"}', '{"type":"token"}', b"\0"):
            await socket.send(wrong)
            assert json.loads(await socket.recv())["code"] == "parse_error"
        for _ in range(20):
            await send(socket, type="token", text="This is a long sentence that nobody wants to hear. ")
        await send(socket, type="interrupt")
        await send(socket, type="token", text="Well then. ")
        await send(socket, type="end")
        frames = await told(socket)
        told_of = [isinstance(frame, dict) and frame["type"] == "interrupted" for frame in frames]
        after = frames[told_of.index(True) :]
        assert kinds(after)[-1] == "done" and kinds(after).count("audio_start") == 1


@pytest.mark.parametrize("first", ['{"type":"token","text":"x"}', "x", '{"type":"auth","token":"wrong"}'])
async def test_who_does_not_say_who_it_is(speaker: Speaker, first: str) -> None:
    async with speaker(token="a-token-of-the-test") as (port, _):
        async with connect(f"ws://127.0.0.1:{port}/ws") as socket:
            await socket.send(first)
            assert kinds(await told(socket)) == ["auth_error"] and socket.close_code == 1008
        async with connect(f"ws://127.0.0.1:{port}/ws") as socket:
            await send(socket, type="auth", token="a-token-of-the-test")
            assert json.loads(await socket.recv())["type"] == "auth_ok"


async def test_too_many_sentences_and_too_long_a_session(speaker: Speaker) -> None:
    async with speaker(waiting=3, session_s=1.5) as (port, _):
        async with connect(f"ws://127.0.0.1:{port}/ws") as socket:
            await send(socket, type="auth")
            await send(socket, type="token", text="One is enough for today. " * 30)
            assert "queue_full" in [
                frame.get("code") for frame in await told(socket) if isinstance(frame, dict)
            ]
        async with connect(f"ws://127.0.0.1:{port}/ws") as socket:
            await send(socket, type="auth")
            assert (await told(socket))[-1]["code"] == "session_timeout" and socket.close_code == 1000


async def test_the_openai_client_and_every_format(speaker: Speaker) -> None:
    async with speaker(token="a-token-of-the-test") as (port, _), aiohttp.ClientSession() as http:
        base = f"http://127.0.0.1:{port}"
        async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key="a-token-of-the-test") as client:
            for kind in ("wav", "flac", "mp3", "opus", "pcm"):
                said: Any = await client.audio.speech.create(
                    model="tts-1", voice="heart", input="Hello there. How are you?", response_format=kind
                )  # fmt: skip
                data = said.content
                if kind == "pcm":
                    assert len(data) > 24_000
                else:
                    sound, rate = soundfile.read(io.BytesIO(data))
                    assert rate == (48_000 if kind == "opus" else 24_000) and len(sound) / rate > 0.8
        key = {"Authorization": "Bearer a-token-of-the-test"}
        for body in (
            b"{",
            b"[]",
            b'{"input":""}',
            b'{"input":"x","response_format":"aac"}',
            b'{"input":"x","speed":9}',
        ):
            async with http.post(f"{base}/v1/audio/speech", data=body, headers=key) as answer:
                assert answer.status == 400 and (await answer.json())["error"]["message"].endswith(".")
        async with http.post(f"{base}/v1/audio/speech", data=b'{"input":"x"}') as answer:
            assert answer.status == 401
        for path in ("/health", "/ready", "/v1/voices"):
            async with http.get(base + path) as answer:
                assert answer.status == 200


async def said(client: AsyncTcpClient, last: Callable[[str], bool]) -> list[Any]:
    events = []
    async with asyncio.timeout(20):
        while (event := await client.read_event()) is not None:
            events.append(event)
            if last(event.type):
                return events
    raise AssertionError("the connection ended")


async def test_home_assistants_library(speaker: Speaker) -> None:
    async with speaker() as (_, port), AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(Describe().event())
        [event] = await said(client, Info.is_type)
        [program] = Info.from_event(event).tts
        assert program.voices[0].name == "heart" and program.supports_synthesize_streaming
        await client.write_event(Synthesize("The light is on. Good night.").event())
        events = await said(client, AudioStop.is_type)
        assert AudioStart.is_type(events[0].type)
        chunks = [AudioChunk.from_event(event) for event in events[1:-1]]
        assert {chunk.rate for chunk in chunks} == {24_000} and sum(
            len(chunk.audio) for chunk in chunks
        ) > 48_000
        await client.write_event(Synthesize("🙂").event())
        assert len(await said(client, AudioStop.is_type)) == 2, "nothing to say still ends"
        await client.write_event(SynthesizeStart().event())
        for piece in ("The light ", "is on. And ", "now it is off."):
            await client.write_event(SynthesizeChunk(piece).event())
        await client.write_event(SynthesizeStop().event())
        events = await said(client, SynthesizeStopped.is_type)
        assert AudioStart.is_type(events[0].type) and AudioStop.is_type(events[-2].type)


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON\n",
        b"[]\n",
        b'{"type":7}\n',
        b'{"type":"x","payload_length":99999999999}\n',
        b"x" * 300_000 + b"\n",
    ],
)
async def test_what_is_no_wyoming_is_hung_up_on(speaker: Speaker, line: bytes) -> None:
    async with speaker() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(line)
        async with asyncio.timeout(5):
            try:
                assert await reader.read() == b""
            except ConnectionResetError:
                pass  # with unread bytes in its buffer
        writer.close()
        async with AsyncTcpClient("127.0.0.1", port) as client:
            await client.write_event(Describe().event())
            await said(client, Info.is_type)


async def test_who_does_not_listen_is_cut_and_others_are_not(speaker: Speaker) -> None:
    async with speaker(send_s=0.3) as (port, _):
        plug = sockets.socket()
        plug.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        plug.connect(("127.0.0.1", port))
        async with connect(f"ws://127.0.0.1:{port}/ws", sock=plug, close_timeout=0.1) as deaf:
            await send(deaf, type="auth", token="")
            assert json.loads(await deaf.recv())["type"] == "auth_ok"
            deaf.transport.pause_reading()
            await send(deaf, type="token", text="Nobody listens to this sentence, and it is long. " * 60)
            await send(deaf, type="end")
            await until(lambda: held(port) == 0, "the cut", 25)
        async with connect(f"ws://127.0.0.1:{port}/ws") as other:
            await send(other, type="auth", token="")
            await send(other, type="end")
            assert [frame["type"] for frame in await told(other)] == ["auth_ok", "done"]


def held(port: int) -> int:
    """Connections that the server's side still holds."""
    found = psutil.Process().net_connections("tcp")
    return sum(each.laddr[1] == port and each.status == "ESTABLISHED" for each in found)
