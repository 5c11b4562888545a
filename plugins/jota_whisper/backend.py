"""The transcription backend: an utterance goes into the engine, transcripts come out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jota_core.api import (
    RATE,
    SECOND,
    BackendError,
    Code,
    EndedBy,
    Health,
    Heard,
    HearingLoad,
    ListenOptions,
    Segment,
    Strained,
    TaskOwner,
    Transcript,
    TranscriptionBackend,
    Utterance,
)

from .process import Engine, Stream
from .settings import WhisperSettings

AHEAD_S = 20.0
"""Sound in the engine that is not decided yet; more waits in the utterance."""
PIECE = RATE * 4
"""Bytes handed over at once: a quarter of a second."""
LONGEST_DECODING_S = 30.0
FIRST_PAUSE_S, MOST_PAUSE_S = 0.2, 30.0
STEADY_S = 60.0


class WhisperBackend(TranscriptionBackend):
    """One section's ears."""

    def __init__(self, settings: WhisperSettings) -> None:
        self._settings = settings
        self._engine: Engine | None = None

    @property
    def available(self) -> bool:
        return self._engine is not None and self._engine.is_ready

    @property
    def languages(self) -> Sequence[str]:
        chosen = self._settings.language
        return (chosen,) if chosen != "auto" else self._settings.languages

    @property
    def load(self) -> HearingLoad:
        streams = self._engine.streams.values() if self._engine is not None else ()
        served = sum(stream.is_served for stream in streams)
        return HearingLoad(len(streams), served, self._settings.slots)

    async def keep(self, model: Path, log: logging.Logger) -> None:
        """Keep an engine alive, until cancelled."""
        settings, pause_s, loop = self._settings, FIRST_PAUSE_S, asyncio.get_running_loop()
        plan = {
            "model": str(model), "threads": settings.threads_of_slot(), "slots": settings.slots,
            "languages": settings.languages, "careful": settings.careful,
        }  # fmt: skip
        self._engine = Engine(plan)
        while True:
            began = loop.time()
            await self._engine.run()
            log.error("%s", self._engine.trouble)
            pause_s = FIRST_PAUSE_S if loop.time() - began > STEADY_S else min(2 * pause_s, MOST_PAUSE_S)
            await asyncio.sleep(pause_s)
            self._engine = Engine(plan, self._engine.trouble)

    def health(self) -> Health:
        """What it hears with, or why it does not."""
        if self._engine is None or not self._engine.is_ready:
            return Health(False, self._engine.trouble if self._engine else "It has not been started yet.")
        settings, count = self._settings, len(self._engine.streams)
        return Health(True, f"{settings.model}, {count} of {settings.streams} utterances.", running=count)

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[Heard, None]:
        engine = self._ready()
        stream, tasks = engine.open(self._wish(utterance.options)), TaskOwner("utterance")
        try:
            tasks.start("feed", _feed(engine, stream, utterance))
            async for heard in self._told(stream):
                yield heard
        finally:
            engine.close(stream)
            await tasks.close()

    def _ready(self) -> Engine:
        engine = self._engine
        if engine is None or not engine.is_ready:
            trouble = engine.trouble if engine else "The speech engine has not been started yet."
            raise BackendError(Code.STT_UNAVAILABLE, trouble, 2.0)
        if len(engine.streams) >= self._settings.streams:
            sentence = f"{len(engine.streams)} people speak already. Try again in a moment."
            raise BackendError(Code.ENGINE_BUSY, sentence, 2.0)
        return engine

    def _wish(self, options: ListenOptions) -> dict[str, Any]:
        settings = self._settings
        return {
            "language": options.language or settings.language, "ends_itself": options.ends_itself,
            "partials": options.partials, "translate": options.translate, "prompt": options.prompt,
            "threshold": options.threshold or settings.threshold, "limit_s": options.limit_s,
        }  # fmt: skip

    async def _told(self, stream: Stream) -> AsyncIterator[Heard]:
        last = Transcript("")
        while stream.final is None:
            if not await self._has_news(stream):
                yield replace(last, is_final=True, is_complete=False, ended_by=EndedBy.CALLER)
                return
            if stream.error is not None:
                raise stream.error
            if stream.strained is not None:
                yield Strained(stream.strained)
                stream.strained = None
            if (partial := stream.partial) is not None:
                stream.partial = None
                last = Transcript(partial["text"], language=partial["language"])
                yield last
        yield _final(stream.final)

    async def _has_news(self, stream: Stream) -> bool:
        """Whether something was told; after the end of the sound waiting for a slot has a limit."""
        limit_s = LONGEST_DECODING_S if stream.is_served else self._settings.final_wait_s
        try:
            async with asyncio.timeout(limit_s if stream.is_ended else None):
                await stream.news.wait()
        except TimeoutError:
            return False
        stream.news.clear()
        return True


async def _feed(engine: Engine, stream: Stream, utterance: Utterance) -> None:
    """Sound into the engine, as far ahead as that may be."""
    sent_s = 0.0
    while sound := await utterance.read():
        for start in range(0, len(sound), PIECE):
            while sent_s - stream.taken_s > AHEAD_S:
                stream.was_taken.clear()
                await stream.was_taken.wait()
            await engine.sound(stream, sound[start : start + PIECE])
            sent_s += min(PIECE, len(sound) - start) / SECOND
    engine.end(stream)
    stream.is_ended = True
    stream.news.set()


def _final(told: dict[str, Any]) -> Transcript:
    segments = tuple(Segment(*each) for each in told["segments"])
    return Transcript(
        told["text"], True, told["language"], told["duration_s"], segments, EndedBy(told["ended_by"])
    )
