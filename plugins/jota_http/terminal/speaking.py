"""`jota talk`: speak with a running Jota, by microphone and loudspeaker, or with a recording."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from .line import NotThere

if TYPE_CHECKING:
    import numpy as np

RATE, SOUND_RATE = 16_000, 24_000
FRAME = 512
RECORD = ["arecord", "-q", "-t", "raw", "-f", "S16_LE", "-r", str(RATE), "-c", "1"]
PLAY = ["aplay", "-q", "-t", "raw", "-f", "S16_LE", "-r", str(SOUND_RATE), "-c", "1"]
NO_MICROPHONE = "There is no `arecord` here to hear with (Debian, Ubuntu: sudo apt install alsa-utils)."
NO_ANSWER = "Nothing was understood, or nobody answered, within {0:g} s of the end of the recording."
AFTER_S = 2.0
ANSWER_S = 60.0


class Speaking:
    """One conversation by voice over `/ws/stream`."""

    def __init__(self, url: str, key: str | None, language: str | None, out: Path | None) -> None:
        self._url = url
        self._key = key
        self._language = language
        self._out = out
        self._answered = asyncio.Event()
        self._sound = bytearray()

    async def run(self, recording: Path | None) -> None:
        """Until the end of the recording's answer, or for ever. Raises `NotThere`."""
        try:
            async with connect(self._place(), max_size=None) as socket, _player() as player:
                await self._greet(socket)
                hearing = asyncio.ensure_future(self._hear(socket, player))
                try:
                    await self._speak(socket, recording)
                finally:
                    hearing.cancel()
                    await asyncio.gather(hearing, return_exceptions=True)
        except (OSError, InvalidHandshake, InvalidURI, ConnectionClosed, TimeoutError) as error:
            why = error if str(error) else type(error).__name__
            raise NotThere(f"Jota at {self._url} cannot be spoken with ({why}).") from None
        self._save()

    def _place(self) -> str:
        parts = urlsplit(self._url)
        scheme = "wss" if parts.scheme in ("https", "wss") else "ws"
        return parts._replace(scheme=scheme, path="/ws/stream").geturl()

    async def _greet(self, socket: ClientConnection) -> None:
        hello: dict[str, Any] = {"client_key": self._key, "device_id": "terminal", "language": self._language}
        await socket.send(json.dumps({name: value for name, value in hello.items() if value}))
        async with asyncio.timeout(10):
            ready = json.loads(await socket.recv())
        if not ready["capabilities"]["transcriber"]:
            raise NotThere("This Jota has no ears now; `jota doctor` there says why.")

    async def _speak(self, socket: ClientConnection, recording: Path | None) -> None:
        if recording is None:
            await self._microphone(socket)
            return
        sound = _samples(recording)
        began = time.monotonic()
        for start in range(0, len(sound), FRAME):
            await socket.send(sound[start : start + FRAME].tobytes())
            await asyncio.sleep(began + start / RATE - time.monotonic())
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._answered.wait()
        except TimeoutError:
            raise NotThere(NO_ANSWER.format(ANSWER_S)) from None

    async def _microphone(self, socket: ClientConnection) -> None:
        import numpy as np

        if shutil.which(RECORD[0]) is None:
            raise NotThere(NO_MICROPHONE)
        recorder = await asyncio.create_subprocess_exec(*RECORD, stdout=PIPE)
        try:
            assert recorder.stdout is not None
            _say("Speak; Ctrl-C leaves.\n")
            while data := await recorder.stdout.read(2 * FRAME):
                samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / 32768
                await socket.send(samples.tobytes())
            raise NotThere("The microphone gives no sound; `arecord -l` lists those there are.")
        finally:
            await _ended(recorder)

    async def _hear(self, socket: ClientConnection, player: Process | None) -> None:
        async for frame in socket:
            if isinstance(frame, bytes):
                self._play(frame[3:], player)
            else:
                self._show(json.loads(frame))

    def _play(self, sound: bytes, player: Process | None) -> None:
        if self._out is not None:
            self._sound += sound
        if player is not None and player.stdin is not None and not player.stdin.is_closing():
            player.stdin.write(sound)

    def _show(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if kind == "transcription_partial":
            _say(f"\r\033[K… {frame['text']}")
        elif kind == "transcription" and frame["text"]:
            _say(f"\r\033[K> {frame['text']}\n")
        elif kind == "token":
            _say(frame["text"])
        elif kind == "turn_end":
            _say("\n")
            self._answered.set()
        elif kind == "error":
            _say(f"\n[{frame['message']}]\n")

    def _save(self) -> None:
        if self._out is not None:
            import wave

            with wave.open(str(self._out), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(SOUND_RATE)
                file.writeframes(self._sound)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _samples(recording: Path) -> np.ndarray:
    """The recording, with silence behind it so that it ends by itself. Raises `NotThere`."""
    import numpy as np
    import soundfile
    import soxr

    try:
        samples, rate = soundfile.read(recording, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError):
        raise NotThere(f"{recording} cannot be read as a recording (wav, flac, ogg, mp3).") from None
    mono = np.asarray(soxr.resample(samples.mean(axis=1), rate, RATE), np.float32)
    return np.concatenate([mono, np.zeros(int(AFTER_S * RATE), np.float32)])


@asynccontextmanager
async def _player() -> AsyncIterator[Process | None]:
    """The loudspeaker, where there is one."""
    if shutil.which(PLAY[0]) is None:
        yield None
        return
    player = await asyncio.create_subprocess_exec(*PLAY, stdin=PIPE, stderr=DEVNULL)
    try:
        yield player
    finally:
        await _ended(player)


async def _ended(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()
