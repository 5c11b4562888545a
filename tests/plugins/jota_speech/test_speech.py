"""The real voices, understood by the real ears."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soxr

from benchmarks.spoken import words
from jota_core.api import BackendError, Code, SpeakOptions
from jota_speech.backend import FRAME, LocalSpeech
from jota_speech.models import SpeechShelf
from jota_speech.settings import SpeechSettings
from jota_whisper.engine.ear import Job, Kind
from jota_whisper.engine.recogniser import Recogniser
from jota_whisper.models import WhisperShelf

pytestmark = pytest.mark.model


def silent(doing: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech")
    SpeechShelf().pull("kokoro-es", folder, silent)
    return folder


@pytest.fixture
async def mouth(data: Path) -> AsyncIterator[LocalSpeech]:
    found = LocalSpeech(SpeechSettings())
    found.open(data)
    yield found
    await found.close()


@pytest.fixture(scope="module")
def ears(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    model = WhisperShelf().pull("whisper-base", tmp_path_factory.mktemp("whisper"), silent)
    return Recogniser(model, 2, ["es", "en"])


async def said(mouth: LocalSpeech, text: str, options: SpeakOptions = SpeakOptions()) -> bytes:
    pieces = [piece async for piece in mouth.speak(text, options)]
    assert all(len(piece) == FRAME for piece in pieces[:-1])
    return b"".join(pieces)


def understood(ears: Recogniser, sound: bytes, language: str) -> list[str]:
    samples = soxr.resample(np.frombuffer(sound, "<i2").astype(np.float32) / 32768, 24_000, 16_000)
    return words(ears.decode(Job(Kind.FINAL, samples.astype(np.float32), 0, 3, language, "", False)).text)


async def test_spanish_and_english_are_understood(mouth: LocalSpeech, ears: Recogniser) -> None:
    assert {voice.language for voice in await mouth.voices()} == {"en", "es"}
    spanish = "La luz del salón está encendida."
    assert understood(ears, await said(mouth, spanish), "es") == words(spanish)
    english = "The light in the living room is on."
    assert understood(ears, await said(mouth, english), "en") == words(english)


SPEAK = """
import os, sys
from pathlib import Path
from jota_speech.voices import Hibari, Kokoro
Hibari(1).say("Hello.", 1.0)
Kokoro(Path(sys.argv[1]), 1).say("Hola.", 1.0)
"""


def test_nobody_is_told_what_is_said(data: Path, tmp_path: Path) -> None:
    folder = SpeechShelf().path("kokoro-es", data).parent
    given = {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", SPEAK, str(folder)], env=given, check=True, timeout=60)
    assert not list(tmp_path.rglob("*onnx*")), "onnxruntime keeps what it wants to tell its makers"


async def test_a_faster_voice_takes_less_time(mouth: LocalSpeech) -> None:
    usual = await said(mouth, "The kettle is boiling in the kitchen.")
    fast = await said(mouth, "The kettle is boiling in the kitchen.", SpeakOptions(speed=1.6))
    assert len(fast) < 0.8 * len(usual)


async def test_what_is_no_word_is_silence_and_what_is_too_long_is_refused(mouth: LocalSpeech) -> None:
    assert await said(mouth, "🙂 --- ```x```") == b""
    with pytest.raises(BackendError) as refused:
        await said(mouth, "word " * 2000)
    assert refused.value.code is Code.TOO_LARGE


async def test_without_the_spanish_voice_english_speaks_and_says_so(tmp_path: Path) -> None:
    mouth = LocalSpeech(SpeechSettings())
    assert not mouth.available
    mouth.open(tmp_path)
    try:
        assert [voice.id for voice in await mouth.voices()] == ["heart"]
        assert "`jota models pull kokoro-es`" in mouth.health().detail
        assert await said(mouth, "La luz del salón está encendida.")
    finally:
        await mouth.close()
    with pytest.raises(BackendError) as refused:
        await said(mouth, "Hello.")
    assert refused.value.code is Code.TTS_UNAVAILABLE
