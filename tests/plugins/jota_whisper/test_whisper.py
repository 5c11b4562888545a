"""The real model on recorded Spanish and English, through the backend and its process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.spoken import SAID, errors, recording, silence
from jota_core.api import (
    RATE,
    BackendError,
    Code,
    EndedBy,
    Heard,
    ListenOptions,
    NotReady,
    Transcript,
    Utterance,
)
from jota_whisper import JotaWhisper
from jota_whisper.backend import WhisperBackend
from jota_whisper.engine.ear import Job, Kind
from jota_whisper.engine.recogniser import Recogniser
from jota_whisper.models import WhisperShelf, resolve
from jota_whisper.settings import WhisperSettings

pytestmark = pytest.mark.model
Ears = Callable[..., AbstractAsyncContextManager[WhisperBackend]]
FRAME = 320


@pytest.fixture
def ears(base: Path) -> Ears:
    @asynccontextmanager
    async def listening(**settings: Any) -> AsyncIterator[WhisperBackend]:
        patient: dict[str, Any] = {"final_wait_s": 30, **settings}  # machines of tests are busy
        backend = WhisperBackend(WhisperSettings(**patient))
        keeping = asyncio.create_task(backend.keep(base, logging.getLogger("jota.ears")))
        try:
            await until(lambda: backend.available, 30)
            yield backend
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    return listening


async def until(condition: Callable[[], bool], limit_s: float) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.01)


async def speak(utterance: Utterance, sound: np.ndarray, pace: float = 1.0) -> None:
    """At the pace of nature, or `pace` times as fast."""
    began = time.monotonic()
    for start in range(0, len(sound), FRAME):
        utterance.feed(sound[start : start + FRAME].tobytes())
        ahead = start / 16_000 / pace - (time.monotonic() - began)
        if ahead > 0.02:
            await asyncio.sleep(ahead)


async def heard(
    backend: WhisperBackend, sound: np.ndarray, pace: float = 1.0, **options: Any
) -> list[tuple[float, Heard]]:
    """Everything that was told, and when."""
    utterance = Utterance(ListenOptions(**options))
    speaking = asyncio.create_task(speak(utterance, sound, pace))
    speaking.add_done_callback(lambda _: utterance.end())
    began = time.monotonic()
    try:
        return [(time.monotonic() - began, each) async for each in backend.transcribe(utterance)]
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)


def final(told: list[tuple[float, Heard]]) -> Transcript:
    last = told[-1][1]
    assert isinstance(last, Transcript) and last.is_final
    assert not any(isinstance(each, Transcript) and each.is_final for _, each in told[:-1])
    return last


async def test_spanish_and_english_are_understood_and_told_apart(ears: Ears) -> None:
    async with ears() as backend:
        for name in SAID:
            last = final(await heard(backend, recording(name), pace=20, ends_itself=False))
            assert last.language == name[:2] and errors(name, last.text) <= 1, last.text
            assert last.ended_by is EndedBy.CALLER and last.is_complete
            assert last.segments and last.segments[-1].end_s <= last.duration_s + 0.1


@pytest.mark.parametrize("name", SAID)
def test_the_language_is_known_from_the_beginning_of_a_sentence(base: Path, name: str) -> None:
    recogniser = Recogniser(base, 2, ["es", "en"], careful=False)
    for seconds in (2, 2.5, 3, 4):
        for kind in (Kind.FINAL, Kind.PARTIAL):  # what was decoded before must not matter
            sound = recording(name)[: int(seconds * RATE)]
            decoded = recogniser.decode(Job(kind, sound, 0.0, seconds, "auto", "", False))
            assert decoded.language == name[:2], (seconds, decoded.text)


async def test_partials_while_it_is_spoken_and_it_ends_itself(ears: Ears) -> None:
    async with ears(language="es") as backend:
        sound = recording("es-busy", after_s=3.0)
        told = await heard(backend, sound)
        last = final(told)
        assert last.ended_by is EndedBy.SILENCE and errors("es-busy", last.text) <= 1
        assert last.duration_s < len(sound) / RATE - 1.5, "it did not wait for the caller's end"
        partials = [each for _, each in told[:-1] if isinstance(each, Transcript)]
        assert len(partials) >= 2 and partials[0].text


async def test_silence_and_noise_are_nothing(ears: Ears) -> None:
    noise = np.random.default_rng(1).normal(0, 0.05, 5 * 16_000).astype(np.float32)
    async with ears(language="es") as backend:
        for sound in (silence(3), noise, np.zeros(0, np.float32), silence(0.01)):
            assert final(await heard(backend, sound, pace=20, ends_itself=False)).text == ""


@pytest.mark.parametrize("change", ["clipped", "quiet", "not-a-number"])
async def test_speech_of_a_poor_microphone(ears: Ears, change: str) -> None:
    sound = recording("es-locked")
    spoilt = {
        "clipped": np.clip(sound * 6, -1, 1),
        "quiet": sound * 0.05,
        "not-a-number": np.where(np.arange(len(sound)) % 997, sound, np.nan).astype(np.float32),
    }[change]
    async with ears(language="es") as backend:
        assert errors("es-locked", final(await heard(backend, spoilt, pace=20)).text) <= 1


async def test_faster_than_nature_waits_and_loses_nothing(ears: Ears) -> None:
    sound = np.concatenate([recording("es-busy", after_s=0.6)] * 8)
    async with ears(language="es") as backend:
        utterance = Utterance(ListenOptions(ends_itself=False, limit_s=600))
        listening = asyncio.create_task(_last(backend, utterance))
        for start in range(0, len(sound), 8000):
            while utterance.waiting_s > 10:
                await asyncio.sleep(0.01)
            assert utterance.feed(sound[start : start + 8000].tobytes())
        utterance.end()
        text = (await listening).text.lower()
        assert text.count("representantes") >= 7 and utterance.dropped == 0


async def _last(backend: WhisperBackend, utterance: Utterance) -> Transcript:
    last = None
    async for each in backend.transcribe(utterance):
        last = each
    assert isinstance(last, Transcript)
    return last


async def test_two_speak_at_once_and_one_too_many_is_refused(ears: Ears) -> None:
    async with ears(language="es", streams=2) as backend:
        first = heard(backend, recording("es-locked"), ends_itself=False)
        second = heard(backend, recording("es-echo"), ends_itself=False)
        both = asyncio.gather(first, second)
        await asyncio.sleep(0.3)
        with pytest.raises(BackendError) as refused:
            await heard(backend, silence(0.1))
        assert refused.value.code is Code.ENGINE_BUSY
        one, other = await both
        assert errors("es-locked", final(one).text) <= 1 and errors("es-echo", final(other).text) <= 1
        assert backend.health().detail.startswith("whisper-base, 0 of 2")


async def test_a_killed_engine_is_told_and_comes_back(ears: Ears) -> None:
    async with ears(language="es") as backend:
        lost = asyncio.create_task(_failure(heard(backend, recording("es-busy"))))
        await asyncio.sleep(1.5)
        engine = backend._engine
        assert engine is not None and engine._process is not None
        os.kill(engine._process.pid, signal.SIGKILL)
        assert (await lost).code is Code.STT_UNAVAILABLE
        assert not backend.available and not backend.health().ok
        with pytest.raises(BackendError):
            await heard(backend, silence(0.1))
        await until(lambda: backend.available, 10)
        assert errors("es-locked", final(await heard(backend, recording("es-locked"), pace=20)).text) <= 1


async def _failure(work: Coroutine[Any, Any, Any]) -> BackendError:
    with pytest.raises(BackendError) as failed:
        await work
    return failed.value


async def test_a_caller_who_leaves_frees_the_place(ears: Ears) -> None:
    async with ears(language="es", streams=1) as backend:
        leaving = asyncio.create_task(heard(backend, recording("es-busy")))
        await asyncio.sleep(0.5)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert errors("es-locked", final(await heard(backend, recording("es-locked"), pace=20)).text) <= 1


async def test_a_file_that_is_no_model_is_said(tmp_path: Path) -> None:
    (tmp_path / "wrong.bin").write_bytes(b"no model" * 1000)
    backend = WhisperBackend(WhisperSettings(model=str(tmp_path / "wrong.bin")))
    keeping = asyncio.create_task(backend.keep(tmp_path / "wrong.bin", logging.getLogger("jota.ears")))
    try:
        await until(lambda: "could not load wrong.bin" in backend.health().detail, 20)
        assert not backend.available
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def test_a_model_that_is_missing_is_said_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="`jota models pull whisper-base`"):
        resolve("whisper-base", tmp_path)
    with pytest.raises(NotReady, match="known are whisper-base, whisper-tiny"):
        resolve("whisper-huge", tmp_path)
    with pytest.raises(NotReady, match="Put it there"):
        resolve(str(tmp_path / "mine.bin"), tmp_path)


def test_two_processes_that_fetch_at_once_both_have_it(tmp_path: Path) -> None:
    environ = {**os.environ, "JOTA_MODEL_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "jota_core.cli", "models", "pull", "whisper-base"]
    fetching = [
        subprocess.Popen(
            command, cwd=tmp_path, env={**environ, "JOTA_DATA": str(tmp_path / name)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for name in ("one", "two")
    ]  # fmt: skip
    told = [process.communicate(timeout=300)[0] for process in fetching]
    assert [process.returncode for process in fetching] == [0, 0], told
    made = [WhisperShelf().path("whisper-base", tmp_path / name) for name in ("one", "two")]
    assert made[0].samefile(made[1])
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [made[0].name]


async def test_a_spoken_turn_in_a_real_host(run_host: Any, base: Path, tmp_path: Path) -> None:
    from jota_core.api import AudioFormat, Delta, Principal, Transcribed, TurnEnded, UtteranceEnded
    from jota_core.testing import ScriptedBackend

    told: list[Any] = []
    over = asyncio.Event()

    class Sink:
        async def send(self, event: Any) -> None:
            told.append(event)
            if isinstance(event, TurnEnded):
                over.set()

    config = {"plugins": {"ears": {"language": "es", "model": str(base), "final_wait_s": 30}}}
    plugins = {"llm": ScriptedBackend("Bien hecho."), "ears": JotaWhisper}
    async with run_host(config, plugins=plugins) as host:
        await until(lambda: host.sessions.transcription.available, 30)
        session = await host.sessions.open(Principal("ana"), Sink(), door="app")
        utterance = session.begin_utterance(audio=AudioFormat("pcm16", 48_000, 2))
        sound = np.repeat(recording("es-locked", after_s=1.5), 3)
        stereo = (np.repeat(sound, 2) * 32767).astype("<i2").tobytes()
        for start in range(0, len(stereo), 4001):
            utterance.feed(stereo[start : start + 4001])
        async with asyncio.timeout(20):
            await over.wait()
        finals = [e.transcript for e in told if isinstance(e, Transcribed) and e.transcript.is_final]
        [ended] = [event for event in told if isinstance(event, UtteranceEnded)]
        assert len(finals) == 1 and errors("es-locked", finals[0].text) <= 1 and ended.error is None
        assert "".join(event.text for event in told if isinstance(event, Delta)) == "Bien hecho."
        assert told[-1].turn_id == ended.turn_id and told[-1].persisted
        await session.close()


async def test_people_who_come_and_go_leave_nothing(ears: Ears) -> None:
    import psutil

    async with ears(language="es", streams=16) as backend:

        async def come_and_go(number: int) -> None:
            listening = asyncio.create_task(heard(backend, recording("es-busy"), pace=8, ends_itself=False))
            await asyncio.sleep(0.02 * (number % 16))
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

        async def all_of_them() -> tuple[int, int, int]:
            await asyncio.gather(*(come_and_go(number) for number in range(16)))
            assert errors("es-echo", final(await heard(backend, recording("es-echo"), pace=20)).text) <= 1
            assert backend._engine is not None and backend._engine._process is not None
            child = psutil.Process(backend._engine._process.pid)
            assert not backend._engine.streams
            return child.num_fds(), child.num_threads(), child.memory_info().rss

        await all_of_them()
        before = await all_of_them()
        for _ in range(4):
            after = await all_of_them()
        assert after[:2] == before[:2] and after[2] - before[2] < 32_000_000
