"""The speech backend: sentences go into voices, sound comes out in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jota_core.api import BackendError, Code, Health, SpeakOptions, SpeechBackend, Voice

from .languages import language_of
from .models import KOKORO, SpeechShelf
from .settings import SpeechSettings
from .speakable import speakable

if TYPE_CHECKING:
    from .voices import Speaker

RATE = 24_000
FRAME = RATE // 5 * 2
"""Bytes of 200 ms, as the public speaker sends them."""
LONGEST = 5000
"""Characters of one text."""
WAIT_S = 60.0
VOICES = (Voice("heart", "Heart (Hibari)", "en"), Voice("kokoro-es", "Kokoro", "es"))


class LocalSpeech(SpeechBackend):
    """One section's mouth. Voices are loaded when they are first needed."""

    def __init__(self, settings: SpeechSettings) -> None:
        self._settings = settings
        self._data: Path | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._speakers: dict[str, Speaker] = {}
        self._waiting = 0

    def open(self, data: Path) -> None:
        """From now on it can speak."""
        self._data = data
        self._threads = ThreadPoolExecutor(1, "voice")

    async def close(self) -> None:
        """Let go of voices and thread; what is being said ends first."""
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)
        self._speakers.clear()

    @property
    def available(self) -> bool:
        return self._threads is not None

    @property
    def rate(self) -> int:
        return RATE

    async def voices(self) -> Sequence[Voice]:
        return [voice for voice in VOICES if voice.language == "en" or self._has_spanish()]

    async def speak(self, text: str, options: SpeakOptions) -> AsyncGenerator[bytes, None]:
        if len(text) > LONGEST:
            sentence = f"The text has {len(text)} characters; {LONGEST} can be said at once."
            raise BackendError(Code.TOO_LARGE, sentence)
        language = self._language(text, options)
        if words := speakable(text, language):
            speed = options.speed * self._settings.speed
            sound = await self._run(partial(self._say, language, words, speed))
            for start in range(0, len(sound), FRAME):
                yield sound[start : start + FRAME]

    def health(self) -> Health:
        """Which voices there are."""
        fix = f"English only; `jota models pull {KOKORO.name}` fetches the Spanish voice."
        said = "English and Spanish." if self._has_spanish() else fix
        return Health(True, said, running=min(1, self._waiting), waiting=max(0, self._waiting - 1))

    def _language(self, text: str, options: SpeakOptions) -> str:
        """As asked for, by the voice or by name; Spanish needs its voice."""
        voice = next((each.language for each in VOICES if each.id == options.voice), None)
        wanted = voice or (options.language or "")[:2] or self._settings.language
        found = wanted if wanted in ("es", "en") else language_of(text)
        return found if found == "en" or self._has_spanish() else "en"

    def _has_spanish(self) -> bool:
        return self._data is not None and SpeechShelf().path(KOKORO.name, self._data).is_file()

    async def _run(self, work: Callable[[], bytes]) -> bytes:
        if self._threads is None:
            raise BackendError(Code.TTS_UNAVAILABLE, "The voices are not there now; the answer is text.", 2.0)
        if self._waiting >= self._settings.waiting:
            raise BackendError(Code.ENGINE_BUSY, f"{self._waiting} sentences wait to be said already.", 2.0)
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_S):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            raise BackendError(Code.TTS_UNAVAILABLE, f"Nothing was said within {WAIT_S:g} s.", 5.0) from None
        finally:
            self._waiting -= 1

    def _say(self, language: str, words: str, speed: float) -> bytes:
        """In a thread."""
        import numpy as np

        try:
            sound = self._speaker(language).say(words, speed)
        except Exception as error:
            sentence = f"The voice failed ({type(error).__name__}: {error}); the answer comes as text."
            raise BackendError(Code.TTS_UNAVAILABLE, sentence) from error
        return bytes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())

    def _speaker(self, language: str) -> Speaker:
        from .voices import Hibari, Kokoro

        if language not in self._speakers:
            assert self._data is not None
            folder, threads = SpeechShelf().path(KOKORO.name, self._data).parent, self._settings.threads
            self._speakers[language] = Kokoro(folder, threads) if language == "es" else Hibari(threads)
        return self._speakers[language]
