"""Spoken turns through the app door and the gateway's address: real ears, real voices, real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.spoken import errors, recording, silence
from jota_core.host import Host
from jota_core.testing import RunHost, Script, ScriptedBackend, free_port
from jota_speech.models import SpeechShelf
from jota_whisper.models import WhisperShelf

pytestmark = pytest.mark.model
FRAME = 512
Spoken = Callable[..., AbstractAsyncContextManager[tuple[Host, str]]]


def silent(doing: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def spoken(run_host: RunHost, tmp_path: Path) -> Spoken:
    """A host that hears and speaks; its address."""

    @asynccontextmanager
    async def running(*scripts: str | Script, speech: bool = True) -> AsyncIterator[tuple[Host, str]]:
        port = free_port()
        plugins: dict[str, Any] = {
            "app": {"plugin": "jota_http", "listen": f"127.0.0.1:{port}"},
            "ears": {"plugin": "jota_whisper", "language": "es", "final_wait_s": 30},
        }
        WhisperShelf().pull("whisper-base", tmp_path / "data", silent)
        if speech:
            SpeechShelf().pull("kokoro-es", tmp_path / "data", silent)
            plugins["mouth"] = {"plugin": "jota_speech"}
        config = {"host": {"data": str(tmp_path / "data")}, "plugins": plugins}
        async with run_host(config, plugins={"llm": ScriptedBackend(*scripts)}) as host:
            async with asyncio.timeout(30):
                while not host.sessions.transcription.available:
                    await asyncio.sleep(0.02)
            yield host, f"ws://127.0.0.1:{port}"

    return running


async def stream(socket: ClientConnection, sound: np.ndarray, pcm16: bool = False) -> None:
    """At its natural pace."""
    data = (sound * 32767).astype("<i2") if pcm16 else sound
    began = asyncio.get_running_loop().time()
    for start in range(0, len(data), FRAME):
        await socket.send(data[start : start + FRAME].tobytes())
        await asyncio.sleep(began + start / 16_000 - asyncio.get_running_loop().time())


async def until(socket: ClientConnection, kind: str, limit_s: float = 60) -> list[Any]:
    """Everything up to the first frame of this type; sound as bytes."""
    told: list[Any] = []
    async with asyncio.timeout(limit_s):
        while not (told and isinstance(told[-1], dict) and told[-1]["type"] == kind):
            frame = await socket.recv()
            told.append(frame if isinstance(frame, bytes) else json.loads(frame))
    return told


def of(told: list[Any], kind: str) -> list[Any]:
    return [frame for frame in told if isinstance(frame, dict) and frame["type"] == kind]


async def satellite(url: str, **hello: Any) -> ClientConnection:
    socket = await connect(f"{url}/ws/stream")
    given = {"client_key": "ck", "input_mode": "audio", "output_mode": ["audio", "text", "status"]}
    await socket.send(
        json.dumps({**given, "agent": "main", "device_id": "salon-1", "language": "es", **hello})
    )
    [ready] = await until(socket, "ready")
    assert ready["capabilities"] == {"barge_in": True, "tts": True, "transcriber": True} or not hello
    return socket


async def test_a_recorded_sentence_is_answered_as_text_and_sound(spoken: Spoken) -> None:
    async with spoken("La puerta está cerrada. La luz está encendida.") as (_, url):
        async with await satellite(url) as socket:
            speaking = asyncio.create_task(stream(socket, recording("es-busy", after_s=2)))
            told = await until(socket, "turn_end")
            await speaking
        partials, [final] = of(told, "transcription_partial"), of(told, "transcription")
        assert len(partials) >= 4 and errors("es-busy", final["text"]) <= 1
        assert told.index(partials[0]) < told.index(final)
        [start] = of(told, "turn_start")
        assert (start["turn_id"], start["turn_seq"]) == ("t-1", 1)
        words = "".join(frame["text"] for frame in of(told, "token"))
        assert words == "La puerta está cerrada. La luz está encendida."
        assert all(frame["content"] == frame["text"] for frame in of(told, "token"))
        sound = [frame for frame in told if isinstance(frame, bytes)]
        assert all(frame[:3] == b"\xa1\x00\x01" for frame in sound)
        assert sum(len(frame) - 3 for frame in sound) / 48_000 > 2, "seconds of sound, all before turn_end"


async def test_a_satellite_that_sends_the_text_itself_gets_one_turn(spoken: Spoken) -> None:
    """As jota-voice does: `end` by its own silence, then `send` with what was heard."""
    async with spoken("Vale.") as (_, url), await satellite(url, output_mode=["text", "status"]) as socket:
        for number in (1, 2):
            await stream(socket, recording("es-locked", after_s=0.4))
            await socket.send('{"type":"end"}')
            told = await until(socket, "transcription")
            await socket.send(json.dumps({"type": "send", "text": told[-1]["text"]}))
            told += await until(socket, "turn_end")
            assert [frame["turn_id"] for frame in of(told, "turn_start")] == [f"t-{number}"]
        with pytest.raises(TimeoutError):
            await until(socket, "turn_start", 1.5)


async def test_nothing_said_is_an_empty_turn(spoken: Spoken) -> None:
    async with spoken("?") as (_, url), await satellite(url) as socket:
        await socket.send(silence(0.5).tobytes())
        await socket.send('{"type":"end"}')
        told = await until(socket, "transcription")
        assert told[-1]["text"] == ""
        await socket.send('{"type":"send","text":""}')
        told = await until(socket, "turn_end")
        assert of(told, "turn_start") and not of(told, "token")


async def test_speaking_over_an_answer_ends_it(spoken: Spoken) -> None:
    long = Script("una frase muy larga que no acaba nunca. " * 40, between_s=0.03)
    async with spoken(long, "Vale.") as (_, url), await satellite(url) as socket:
        await socket.send('{"type":"send","text":"cuenta"}')
        told = await until(socket, "token")
        speaking = asyncio.create_task(stream(socket, recording("es-locked", after_s=2)))
        told += await until(socket, "interrupted")
        while len(of(told, "turn_end")) < 2:
            told += await until(socket, "turn_end")
        await speaking
        assert [frame["turn_seq"] for frame in of(told, "turn_start")] == [1, 2]
        assert "Vale." in "".join(frame["text"] for frame in of(told, "token"))
        first_over = told.index(of(told, "turn_end")[0])
        late = [frame for frame in told[first_over:] if isinstance(frame, bytes) and frame[1:3] == b"\0\1"]
        assert not late, "sound of the answer that was ended"


@pytest.mark.parametrize(
    ("first", "code", "reason"),
    [("no JSON", 1008, "Handshake invalido"), ('{"input_mode":"smoke"}', 1008, "Handshake invalido")],
)
async def test_a_wrong_first_frame_closes(spoken: Spoken, first: str, code: int, reason: str) -> None:
    async with spoken("?", speech=False) as (_, url), connect(f"{url}/ws/stream") as socket:
        await socket.send(first)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)


async def test_an_app_speaks_in_pcm_and_hears_the_answer(spoken: Spoken) -> None:
    async with spoken("Vale, hecho.") as (_, url), connect(f"{url}/api/chat/ws/ana") as socket:
        await until(socket, "session")
        await socket.send(b"\0\0")
        assert (await until(socket, "error"))[-1]["code"] == "invalid_request"
        await socket.send('{"type":"speak"}')
        await socket.send('{"type":"audio_start","language":"es"}')
        speaking = asyncio.create_task(stream(socket, recording("es-echo", after_s=2), pcm16=True))
        told = await until(socket, "end")
        await speaking
        finals = [frame for frame in of(told, "transcript") if frame["is_final"]]
        assert (
            len(finals) == 1
            and finals[0]["ended_by"] == "silence"
            and errors("es-echo", finals[0]["text"]) <= 1
        )
        [ended] = of(told, "utterance_end")
        assert (
            ended["turn_id"] == told[-1]["turn_id"]
            and "".join(f["content"] for f in of(told, "token")) == "Vale, hecho."
        )
        [sound] = of(told, "sound")
        assert (
            sound["rate"] == 24_000 and sum(len(frame) for frame in told if isinstance(frame, bytes)) > 20_000
        )


async def test_ears_that_are_killed_are_told_and_text_still_works(spoken: Spoken) -> None:
    async with spoken("Hola.", speech=False) as (host, url), connect(f"{url}/api/chat/ws/ana") as socket:
        await until(socket, "session")
        await socket.send('{"type":"audio_start"}')
        await stream(socket, recording("es-locked")[:16_000], pcm16=True)
        [ears] = list(host.sessions.transcription._backends)  # type: ignore[attr-defined]
        os.kill(ears._engine._process.pid, signal.SIGKILL)
        told = await until(socket, "utterance_end")
        assert told[-1]["code"] == "stt_unavailable" and told[-1]["turn_id"] is None
        await socket.send('{"type":"prompt","text":"hola"}')
        assert of(await until(socket, "end"), "token")
        async with asyncio.timeout(10):
            while not host.sessions.transcription.available:
                await asyncio.sleep(0.05)
        await socket.send('{"type":"audio_start"}')
        speaking = asyncio.create_task(stream(socket, recording("es-locked", after_s=2), pcm16=True))
        told = await until(socket, "end")
        await speaking
        assert errors("es-locked", of(told, "transcript")[-1]["text"]) <= 1


async def test_a_satellite_is_told_once_that_nobody_hears_and_when_somebody_does_again(
    spoken: Spoken,
) -> None:
    async with spoken("Hola.", speech=False) as (host, url):
        socket, sound = await satellite(url), recording("es-locked")
        await stream(socket, sound[:16_000])
        [ears] = list(host.sessions.transcription._backends)  # type: ignore[attr-defined]
        os.kill(ears._engine._process.pid, signal.SIGKILL)
        told = await until(socket, "error")
        assert of(told, "status")[-1]["state"] == "unavailable"
        for _ in range(50):
            await socket.send(sound[:FRAME].tobytes())
        async with asyncio.timeout(60):
            while not host.sessions.transcription.available:
                await asyncio.sleep(0.05)
        speaking = asyncio.create_task(stream(socket, recording("es-locked", before_s=2, after_s=2)))
        told = await until(socket, "turn_end", 60)
        await speaking
        assert not of(told, "error") and of(told, "status")[0]["state"] == "restored"
        await socket.close()


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"audio_start","rate":7}', '{"type":"audio_start","channels":9}', '{"type":"audio_start","encoding":"mp3"}',
        '{"type":"audio_start","rate":"x"}', '{"type":"audio_end"}', '{"type":"audio_start","language":"xxxx"}',
    ],
)  # fmt: skip
async def test_wrong_audio_frames_are_sentences(spoken: Spoken, frame: str) -> None:
    async with spoken("?", speech=False) as (_, url), connect(f"{url}/api/chat/ws/ana") as socket:
        await until(socket, "session")
        await socket.send(frame)
        told = (await until(socket, "error"))[-1]
        assert told["code"] == "invalid_request" and told["message"].endswith(".")


async def test_twice_started_is_refused_and_cancelled_is_forgotten(spoken: Spoken) -> None:
    async with spoken("?", speech=False) as (_, url), connect(f"{url}/api/chat/ws/ana") as socket:
        await until(socket, "session")
        await socket.send('{"type":"audio_start"}')
        await socket.send('{"type":"audio_start"}')
        assert (await until(socket, "error"))[-1]["code"] == "busy"
        await socket.send((recording("es-locked") * 32767).astype("<i2").tobytes())
        await socket.send('{"type":"cancel"}')
        told = await until(socket, "utterance_end")
        assert told[-1]["turn_id"] is None and not [f for f in of(told, "transcript") if f["is_final"]]


async def test_a_host_that_stops_does_not_wait_for_somebody_who_speaks(spoken: Spoken) -> None:
    loop = asyncio.get_running_loop()
    async with spoken("?", speech=False) as (_, url):
        socket = await connect(f"{url}/api/chat/ws/ana")
        await until(socket, "session")
        await socket.send('{"type":"audio_start"}')
        await stream(socket, recording("es-locked")[:16_000], pcm16=True)
        began = loop.time()
    assert loop.time() - began < 5
    await socket.close()
