"""The ears and the mouth of this host: each the first section of its kind that is there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TypeVar

from jota_core.api import (
    BackendError,
    Code,
    Heard,
    HearingLoad,
    SpeakOptions,
    SpeechBackend,
    TranscriptionBackend,
    Utterance,
    Voice,
)

from .cutter import closing

B = TypeVar("B", TranscriptionBackend, SpeechBackend)
DEAF = "Nobody here turns speech into text now. Try again in a moment; `jota doctor` on this host says why."
DUMB = "Nobody here can speak now; the answer comes as text. See /health."


class HostTranscription(TranscriptionBackend):
    """All transcription of a host as one backend."""

    def __init__(self, backends: Mapping[str, TranscriptionBackend], order: Sequence[str] = ()) -> None:
        self._backends = _ordered(backends, order)

    @property
    def available(self) -> bool:
        return any(backend.available for backend in self._backends)

    @property
    def languages(self) -> Sequence[str]:
        return self._first().languages

    @property
    def load(self) -> HearingLoad:
        loads = [backend.load for backend in self._backends]
        return HearingLoad(
            sum(each.utterances for each in loads),
            sum(each.decoding for each in loads),
            sum(each.slots for each in loads),
        )

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[Heard, None]:
        async with closing(self._first().transcribe(utterance)) as heard:
            async for each in heard:
                yield each

    def _first(self) -> TranscriptionBackend:
        for backend in self._backends:
            if backend.available:
                return backend
        raise BackendError(Code.STT_UNAVAILABLE, DEAF, 2.0)


class HostSpeech(SpeechBackend):
    """All speech of a host as one backend."""

    def __init__(self, backends: Mapping[str, SpeechBackend], order: Sequence[str] = ()) -> None:
        self._backends = _ordered(backends, order)

    @property
    def available(self) -> bool:
        return any(backend.available for backend in self._backends)

    @property
    def rate(self) -> int:
        return self._first().rate

    async def voices(self) -> Sequence[Voice]:
        return [voice for each in self._backends if each.available for voice in await each.voices()]

    async def speak(self, text: str, options: SpeakOptions) -> AsyncGenerator[bytes, None]:
        async with closing(self._first().speak(text, options)) as sound:
            async for each in sound:
                yield each

    def _first(self) -> SpeechBackend:
        for backend in self._backends:
            if backend.available:
                return backend
        raise BackendError(Code.TTS_UNAVAILABLE, DUMB, 2.0)


def _ordered(backends: Mapping[str, B], order: Sequence[str]) -> list[B]:
    names = [name for name in order if name in backends] or list(backends)
    return [backends[name] for name in names]
