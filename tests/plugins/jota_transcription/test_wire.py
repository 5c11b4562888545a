"""The public protocol, byte by byte, over a real socket with the real base model."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.spoken import errors, recording, silence

from .conftest import Api

pytestmark = pytest.mark.model
CONFIG = '{"type":"config","language":"es"}'


async def told(socket: ClientConnection, limit_s: float = 20) -> list[dict[str, Any]]:
    """Everything up to the close."""
    frames = []
    async with asyncio.timeout(limit_s):
        try:
            while True:
                frames.append(json.loads(await socket.recv()))
        except ConnectionClosed:
            return frames


async def stream(socket: ClientConnection, sound: np.ndarray, pace: float = 1.0) -> None:
    for start in range(0, len(sound), 1600):
        await socket.send(sound[start : start + 1600].astype("<f4").tobytes())
        await asyncio.sleep(0.1 / pace)


async def test_config_sound_end_final_close(api: Api) -> None:
    async with api() as (_, port), connect(f"ws://127.0.0.1:{port}/api/stt") as socket:
        await socket.send(CONFIG)
        ready = json.loads(await socket.recv())
        assert (ready["type"], ready["protocol_version"]) == ("ready", 1)
        assert ready["config"] == {"language": "es", "sample_rate": 16_000, "beam_size": 1}
        assert ready["session_id"].startswith("session-")
        await stream(socket, recording("es-connect"))
        await socket.send('{"type":"end"}')
        frames = await told(socket)
        assert socket.close_code == 1000
        *partials, final = frames
        assert len(partials) >= 2 and not any(frame["is_final"] for frame in partials)
        assert final["is_final"] and errors("es-connect", final["text"]) <= 1 and "complete" not in final


async def test_pcm16_that_ends_itself(api: Api) -> None:
    async with api() as (_, port), connect(f"ws://127.0.0.1:{port}/") as socket:
        await socket.send(
            '{"type":"config","language":"es","encoding":"pcm16","rate":8000,"ends_itself":true}'
        )
        sound = (recording("es-echo", after_s=1.5)[::2] * 32767).astype("<i2").tobytes()
        await socket.send(sound)
        frames = await told(socket)
        assert frames[-1]["ended_by"] == "silence" and errors("es-echo", frames[-1]["text"]) <= 2


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("no JSON", "PARSE_ERROR"), ("[]", "INVALID_MESSAGE"), ('{"a":1}', "INVALID_MESSAGE"),
        ('{"type":7}', "INVALID_MESSAGE"), ('{"type":"end"}', "NOT_CONFIGURED"), (b"\0\0\0\0", "NOT_CONFIGURED"),
        ('{"type":"config","language":7}', "CONFIG_ERROR"), ('{"type":"config","vad_thold":"x"}', "CONFIG_ERROR"),
        ('{"type":"config","language":"español"}', "CONFIG_ERROR"),
    ],
)  # fmt: skip
async def test_wrong_messages_have_codes_and_the_stream_goes_on(
    api: Api, sent: str | bytes, code: str
) -> None:
    async with api() as (_, port), connect(f"ws://127.0.0.1:{port}/") as socket:
        await socket.send(sent)
        error = json.loads(await socket.recv())
        assert (error["type"], error["code"]) == ("error", code) and error["message"].endswith(".")
        await socket.send(CONFIG)
        assert json.loads(await socket.recv())["type"] == "ready"
        await socket.send('{"type":"what"}')
        assert json.loads(await socket.recv())["code"] == "UNKNOWN_TYPE"
        await socket.send('{"type":"end"}')
        await socket.send('{"type":"end"}')
        assert [frame["text"] for frame in await told(socket)] == [""] and socket.close_code == 1000


async def test_a_second_config_begins_anew(api: Api) -> None:
    async with api() as (_, port), connect(f"ws://127.0.0.1:{port}/") as socket:
        for name in ("es-echo", "es-locked"):
            await socket.send(CONFIG)
            assert json.loads(await socket.recv())["type"] == "ready"
            await socket.send(recording(name).astype("<f4").tobytes())
        await socket.send('{"type":"end"}')
        assert errors("es-locked", (await told(socket))[-1]["text"]) <= 1


async def test_too_large_a_frame_and_too_long_a_silence_are_closed(api: Api) -> None:
    async with api(idle_s=0.5) as (_, port):
        async with connect(f"ws://127.0.0.1:{port}/") as socket:
            await socket.send(CONFIG)
            await socket.send(bytes(1_048_580))
            await told(socket)
            assert (socket.close_code, socket.close_reason) == (1008, "Frame too large")
        async with connect(f"ws://127.0.0.1:{port}/") as socket:
            await told(socket)
            assert (socket.close_code, socket.close_reason) == (1000, "Session timeout")


async def test_sound_faster_than_it_can_be_heard_is_paused_and_none_is_lost(api: Api) -> None:
    async with api() as (_, port), connect(f"ws://127.0.0.1:{port}/") as socket:
        await socket.send(CONFIG)
        await socket.recv()
        sound, paused, frames = np.concatenate([recording("es-busy", after_s=0.6)] * 9), False, []

        async def listen() -> None:
            nonlocal paused
            async for text in socket:
                frames.append(frame := json.loads(text))
                if frame["type"] == "flow_control":
                    paused = frame["action"] == "pause"

        listening = asyncio.create_task(listen())
        for start in range(0, len(sound), 16_000):
            while paused:
                await asyncio.sleep(0.01)
            await socket.send(sound[start : start + 16_000].tobytes())
            await asyncio.sleep(0)
        await socket.send('{"type":"end"}')
        await asyncio.wait_for(listening, 60)
        actions = [frame["action"] for frame in frames if frame["type"] == "flow_control"]
        assert actions[:2] == ["pause", "resume"] and not any(frame["type"] == "warning" for frame in frames)
        assert frames[-1]["text"].lower().count("representantes") >= 8


async def test_a_client_that_does_not_pause_is_warned(api: Api) -> None:
    async with api() as (_, port), connect(f"ws://127.0.0.1:{port}/") as socket:
        await socket.send(CONFIG)
        await socket.recv()
        for _ in range(30):
            await socket.send(np.tile(recording("es-echo")[:16_000], 4).tobytes())
        await socket.send('{"type":"end"}')
        frames = await told(socket, 120)
        warning = next(frame for frame in frames if frame["type"] == "warning")
        assert warning["code"] == "buffer_full" and warning["dropped_chunks"] >= 1
        assert frames[-1]["is_final"] and socket.close_code == 1000


async def test_tokens(api: Api) -> None:
    async with api(token="a-token-of-the-test") as (_, port):
        for token, code in (("", "AUTH_REQUIRED"), ("wrong", "AUTH_FAILED")):
            async with connect(f"ws://127.0.0.1:{port}/") as socket:
                await socket.send(json.dumps({"type": "config", **({"token": token} if token else {})}))
                assert [frame["code"] for frame in await told(socket)] == [code] and socket.close_code == 1008
        async with connect(f"ws://127.0.0.1:{port}/") as socket:
            await socket.send('{"type":"config","token":"a-token-of-the-test"}')
            assert json.loads(await socket.recv())["type"] == "ready"


async def test_a_hundred_connections(api: Api) -> None:
    async with api(max_connections=20, max_connections_per_address=20) as (_, port):
        results = await asyncio.gather(
            *(connect(f"ws://127.0.0.1:{port}/") for _ in range(100)), return_exceptions=True
        )
        served = [each for each in results if isinstance(each, ClientConnection)]
        assert len(served) == 20
        assert all("503" in str(each) for each in results if isinstance(each, BaseException))
        await asyncio.gather(*(each.send(CONFIG) for each in served))
        kinds = [json.loads(await each.recv())["type"] for each in served]
        assert kinds == ["ready"] * 20
        late = [json.loads(await asyncio.wait_for(each.recv(), 5)) for each in served[8:]]
        assert {frame["code"] for frame in late} == {"ENGINE_BUSY"}, "eight are heard at once"
        await asyncio.gather(*(each.close() for each in served))
        async with connect(f"ws://127.0.0.1:{port}/") as socket:
            await socket.send(CONFIG)
            await socket.recv()
            await socket.send(silence(0.2).tobytes())
            await socket.send('{"type":"end"}')
            assert (await told(socket))[-1]["is_final"]


async def metrics(port: int) -> dict[str, int]:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        lines = (line.split() for line in (await answer.text()).splitlines() if line[0] != "#")
        return {name.removeprefix("transcription_"): int(value) for name, value in lines}


async def test_metrics_have_the_names_of_the_public_service(api: Api) -> None:
    async with api() as (_, port), connect(f"ws://127.0.0.1:{port}/") as socket:
        assert await metrics(port) == {
            "active_inferences": 0, "max_inferences": 1, "model_loaded": 1, "model_ref_count": 0,
            "active_connections": 1, "max_connections": 64,
        }  # fmt: skip
        await socket.send(CONFIG)
        await socket.recv()
        await socket.send(np.concatenate([recording("es-busy")] * 2).tobytes())
        async with asyncio.timeout(30):
            while (now := await metrics(port))["active_inferences"] == 0:
                pass
        assert now["active_inferences"] == now["model_ref_count"] == 1
