"""A node in a terminal: what an ESP32 does, with a keyboard, a recording or this machine's microphone."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
import time
import wave
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import orjson
from aiomqtt import Client, Message, MqttError, Will

from jota_core.api import Refused

from ..wire.frames import Frame, parse
from ..wire.topics import NODE_ID, of_node

RATE, SOUND_RATE = 16_000, 24_000
FRAME_S = 0.06
FRAME_BYTES = int(RATE * FRAME_S) * 2
ANSWER_S = 120.0
RECORD = ["arecord", "-q", "-t", "raw", "-f", "S16_LE", "-r", str(RATE), "-c", "1"]
SILENCE_S = 1.5


class Gone(Exception):
    """It cannot go on; says why and what to do."""


class Device:
    """One node."""

    def __init__(
        self,
        id_: str,
        broker: str,
        user: str | None,
        password: str | None,
        language: str | None,
        out: Path | None,
    ) -> None:
        if not NODE_ID.fullmatch(id_):
            raise Gone("A node's id has 1 to 64 of a-z, 0-9 and -.")
        self._id = id_
        self._place = urlsplit(broker)
        self._login = (user, password)
        self._language = language
        self._out = out
        self._turn = secrets.randbelow(1 << 15)
        self._sound = bytearray()
        self._ended = asyncio.Event()
        self._trouble = ""
        self._is_open_line = False

    async def run(self, wav: Path | None, *, hears_microphone: bool, lines: TextIO | None) -> None:
        """Until the recording is answered, or the input ends. Raises `Gone`."""
        client = Client(
            self._place.hostname or "127.0.0.1", self._place.port or 1883, identifier=f"node-{self._id}",
            username=self._login[0], password=self._login[1], timeout=10,
            will=Will(of_node(self._id, "status"), "offline", 1, retain=True),
        )  # fmt: skip
        try:
            async with client:
                hearing = asyncio.ensure_future(self._hear(client))
                await self._greet(client)
                try:
                    await self._live(client, wav, lines, hears_microphone=hears_microphone)
                finally:
                    hearing.cancel()
                    await asyncio.gather(hearing, return_exceptions=True)
                    await client.publish(of_node(self._id, "status"), "offline", 1, retain=True)
        except MqttError as error:
            raise Gone(
                f"The broker at {self._place.geturl()} cannot be used ({error}). Is `jota run` there, and "
                "are --broker, --user and --password right?"
            ) from None
        self._save()

    async def _greet(self, client: Client) -> None:
        for topic in ("res/#", "cmd/#", "audio/down"):
            await client.subscribe(of_node(self._id, topic), qos=1)
        await client.publish(of_node(self._id, "status"), "online", 1, retain=True)
        audio = {"up": {"codec": "pcm16", "rate": RATE}, "frame_ms": 60}
        if self._out is not None:
            audio["down"] = {"codec": "pcm16"}
        info = {"name": self._id, "hardware": "terminal", "proto": "jota/v1", "audio": audio}
        if self._language:
            info["language"] = self._language
        await client.publish(of_node(self._id, "info"), orjson.dumps(info), 1, retain=True)

    async def _live(
        self, client: Client, wav: Path | None, lines: TextIO | None, *, hears_microphone: bool
    ) -> None:
        if hears_microphone:
            await self._speak(client, _microphone())
        elif wav is not None:
            await self._speak(client, _recording(wav))
            await self._answer()
        else:
            assert lines is not None
            await self._type(client, lines)
        if self._trouble:
            raise Gone(self._trouble)

    async def _type(self, client: Client, lines: TextIO) -> None:
        if lines.isatty():
            _show(f"This is the node {self._id}. Type, Ctrl-D leaves.\n")
        while line := await asyncio.to_thread(lines.readline):
            if not line.strip():
                continue
            self._trouble = ""
            self._ended.clear()
            body = {"id": secrets.token_hex(8), "text": line.strip()}
            await client.publish(of_node(self._id, "req/text"), orjson.dumps(body), 1)
            await self._answer()
            if self._trouble:
                _show(f"[{self._trouble}]\n")
                self._trouble = self._trouble if not lines.isatty() else ""

    async def _speak(self, client: Client, sound: AsyncIterator[bytes]) -> None:
        self._turn += 1
        start = {"turn": self._turn, "codec": "pcm16", "rate": RATE, "language": self._language}
        body = {name: value for name, value in start.items() if value is not None}
        await client.publish(of_node(self._id, "req/audio/start"), orjson.dumps(body), 1)
        seq, began = 0, time.monotonic()
        async for piece in sound:
            frame = Frame(self._turn, seq, piece, is_start=seq == 0)
            await client.publish(of_node(self._id, "audio/up"), frame.packed(), 0)
            seq += 1
            await asyncio.sleep(max(0, began + seq * FRAME_S - time.monotonic()))
            if self._ended.is_set():
                return
        await client.publish(of_node(self._id, "req/audio/stop"), orjson.dumps({"turn": self._turn}), 1)

    async def _answer(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._ended.wait()
        except TimeoutError:
            raise Gone(f"Nobody answered within {ANSWER_S:g} s.") from None

    async def _hear(self, client: Client) -> None:
        try:
            async for message in client.messages:
                self._take(message)
        except MqttError as error:
            self._trouble = f"The broker is gone ({error})."
            self._ended.set()

    def _take(self, message: Message) -> None:
        kind = message.topic.value.removeprefix(of_node(self._id, ""))
        payload = message.payload if isinstance(message.payload, bytes) else b""
        if kind == "audio/down":
            self._play(payload)
        elif kind.startswith("cmd/"):
            if not message.retain:  # a kept command is one of long ago
                _show(f"\r\033[K[{kind}] {payload.decode(errors='replace')}\n")
        else:
            self._read(kind, orjson.loads(payload))

    def _read(self, kind: str, body: dict[str, Any]) -> None:
        if kind == "res/transcript":
            mark, end = (">", "\n") if body["is_final"] else ("…", "")
            _show(f"\r\033[K{mark} {body['text']}{end}")
            if body["is_final"] and not body["text"]:
                self._trouble = "Nothing was understood."
                self._ended.set()
        elif kind == "res/delta":
            self._is_open_line = True
            _show(body["text"])
        elif kind == "res/final":
            _show("\n" if self._is_open_line else f"{body['text']}\n")
            self._is_open_line = False
            if body.get("outcome") != "said":
                self._ended.set()
        elif kind == "res/error":
            self._trouble = body["message"]
            self._ended.set()

    def _play(self, payload: bytes) -> None:
        try:
            self._sound += parse(payload).sound
        except Refused as error:
            _show(f"\n[{error.sentence}]\n")

    def _save(self) -> None:
        if self._out is not None:
            with wave.open(str(self._out), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(SOUND_RATE)
                file.writeframes(self._sound)


async def _recording(file: Path) -> AsyncIterator[bytes]:
    """Its frames, with silence behind them so that it ends by itself. Raises `Gone`."""
    import numpy as np
    import soundfile
    import soxr

    try:
        samples, rate = await asyncio.to_thread(soundfile.read, file, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError):
        raise Gone(f"{file} cannot be read as a recording (wav, flac, ogg, mp3).") from None
    mono = np.asarray(soxr.resample(samples.mean(axis=1), rate, RATE), np.float32)
    mono = np.concatenate([mono, np.zeros(int(SILENCE_S * RATE), np.float32)])
    pcm = (np.clip(mono, -1, 1) * 32767).astype("<i2").tobytes()
    for start in range(0, len(pcm), FRAME_BYTES):
        yield pcm[start : start + FRAME_BYTES]


async def _microphone() -> AsyncIterator[bytes]:
    """What is said here. Raises `Gone`."""
    if shutil.which(RECORD[0]) is None:
        raise Gone("There is no `arecord` here to hear with (Debian, Ubuntu: sudo apt install alsa-utils).")
    recorder = await asyncio.create_subprocess_exec(*RECORD, stdout=PIPE)
    assert recorder.stdout is not None
    try:
        while True:
            yield await recorder.stdout.readexactly(FRAME_BYTES)
    except asyncio.IncompleteReadError:
        raise Gone("The microphone gives no sound; `arecord -l` lists those there are.") from None
    finally:
        if recorder.returncode is None:
            recorder.terminate()
        await recorder.wait()


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
