"""One stream: where speech is, what is to be decoded next, and the words so far. No thread, no clock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from .voice import CHUNK, CHUNK_S, Detector, Voice
from .words import Steady, clean, is_invented

RATE = 16_000
BEFORE_S = 0.48
"""Sound before the first word that is kept."""
FIRST_S = 0.35
"""Speech before the first partial."""
NEXT_S = 0.6
"""New sound before each further partial."""
PAUSE_S = 0.5
"""Silence after which a window is over, once it is long enough."""
LEAST_S, MOST_S = 4.0, 9.0
"""Length of a window: cut at a pause beyond the first, anywhere quiet at the second."""
END_S = 0.8
"""Silence after which an utterance ends itself."""
LEAST_SPEECH_S = 0.1


class Kind(IntEnum):
    """Of a job; the lower number goes first."""

    FINAL = 0
    PIECE = 1
    PARTIAL = 2


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for; as `ListenOptions`."""

    language: str = "auto"
    ends_itself: bool = True
    partials: bool = True
    translate: bool = False
    prompt: str = ""
    threshold: float = 0.5
    limit_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Job:
    """Sound to decode."""

    kind: Kind
    sound: np.ndarray
    start_s: float
    speech_s: float
    language: str
    prompt: str
    translate: bool


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a model made of it."""

    text: str
    language: str
    segments: tuple[tuple[float, float, str, float], ...] = ()
    """Start and end in seconds of the sound, text, how likely it is that nobody spoke."""


Told = dict[str, Any]


class Window:
    """Sound since the last cut."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.chunks: list[np.ndarray] = []
        self.speech = 0
        self.silent = 0
        """Chunks since somebody spoke."""

    def add(self, chunk: np.ndarray, is_speech: bool) -> None:
        """One more chunk; before the first speech only the last half second is kept."""
        self.chunks.append(chunk)
        self.speech += is_speech
        self.silent = 0 if is_speech else self.silent + 1
        if not self.speech and len(self.chunks) * CHUNK_S > BEFORE_S:
            self.start += len(self.chunks.pop(0))

    @property
    def length_s(self) -> float:
        """Seconds."""
        return len(self.chunks) * CHUNK_S

    def place_to_cut(self) -> int | None:
        """Number of chunks that belong to a piece of its own; None while the window goes on."""
        pause = round(PAUSE_S / CHUNK_S)
        if self.speech and self.silent >= pause and self.length_s - PAUSE_S >= LEAST_S:
            return len(self.chunks) - self.silent // 2
        if self.speech and self.length_s >= MOST_S:
            first, last = round(LEAST_S / CHUNK_S), len(self.chunks) - round(0.5 / CHUNK_S)
            levels = [float(np.mean(np.square(chunk))) for chunk in self.chunks]
            pairs = [levels[n - 1] + levels[n] for n in range(first, last)]
            return first + int(np.argmin(pairs))
        return None

    def sound(self, count: int | None = None) -> np.ndarray:
        """The first `count` chunks, or all, as one array."""
        chunks = self.chunks[:count]
        return np.concatenate(chunks) if chunks else np.zeros(0, np.float32)


class Ear:
    """Hears a stream; `job` says what to decode and `done` takes the result, one at a time."""

    def __init__(self, wish: Wish, voice: Voice) -> None:
        self._wish = wish
        self._voice = voice
        self._language = wish.language
        self._window = Window(0)
        self._pieces: deque[tuple[Window, int]] = deque()
        self._at = 0
        self._seen = (0, 0)  # of the last pass: position, chunks of speech in the window
        self._steady = Steady()
        self._shown: list[str] = []
        self._texts: list[str] = []
        self._segments: list[tuple[float, float, str, float]] = []
        self._told = ""
        self.ended_by: str | None = None
        self.is_over = False
        """The final was told."""
        self.is_busy = False
        """A job is out."""

    @property
    def detector(self) -> Detector:
        """What it tells speech by; free when nobody is heard any more."""
        return self._voice.detector

    @property
    def taken_s(self) -> float:
        """Everything before has been decided: it needs no memory any more."""
        first = self._pieces[0][0] if self._pieces else self._window
        return first.start / RATE

    def hear(self, samples: np.ndarray) -> None:
        """More sound; after the end it is ignored."""
        for chunk, is_speech in self._voice.judge(samples):
            if self.ended_by is not None:
                return
            self._add(chunk, is_speech)

    def _add(self, chunk: np.ndarray, is_speech: bool) -> None:
        self._at += len(chunk)
        self._window.add(chunk, is_speech)
        if (count := self._window.place_to_cut()) is not None:
            self._cut(count)
        has_spoken = self._window.speech or self._pieces or self._texts
        if self._wish.ends_itself and has_spoken and self._window.silent * CHUNK_S >= END_S:
            self.ended_by = "silence"
        elif self._at >= self._wish.limit_s * RATE:
            self.ended_by = "limit"

    def _cut(self, count: int) -> None:
        whole = self._window
        self._pieces.append((whole, count))
        self._window = rest = Window(whole.start + count * CHUNK)
        rest.chunks = whole.chunks[count:]
        rest.silent = min(whole.silent, len(rest.chunks))
        rest.speech = 0 if rest.silent == len(rest.chunks) else len(rest.chunks) - rest.silent
        if whole.silent > len(rest.chunks):
            rest.silent = whole.silent
        self._seen = (self._at, 0)

    def end(self) -> None:
        """No more sound comes."""
        if self.ended_by is None:
            self.ended_by = "caller"
            if len(rest := self._voice.rest()):
                self._window.add(rest, False)
                self._at += len(rest)

    def needs(self) -> Kind | None:
        """What it waits for now."""
        if self.is_busy or self.is_over:
            return None
        if self._pieces:
            return Kind.FINAL if self.ended_by is not None else Kind.PIECE
        if self.ended_by is not None:
            return Kind.FINAL
        return Kind.PARTIAL if self._is_worth_a_look() else None

    def _is_worth_a_look(self) -> bool:
        at, speech = self._seen
        news = self._window.speech - (speech if speech <= self._window.speech else 0)
        first = self._window.speech * CHUNK_S >= FIRST_S and speech == 0
        return self._wish.partials and news > 0 and (first or (self._at - at) / RATE >= NEXT_S)

    def job(self) -> Job | None:
        """What is to be decoded now; the caller brings the result to `done`."""
        kind = self.needs()
        if kind is None:
            return None
        self.is_busy = True
        if self._pieces:
            window, count = self._pieces[0]
            return self._job(Kind.PIECE, window, count)
        self._seen = (self._at, self._window.speech)
        return self._job(kind, self._window, None)

    def _job(self, kind: Kind, window: Window, count: int | None) -> Job:
        speech_s = window.speech * CHUNK_S
        sound = window.sound(count) if speech_s >= LEAST_SPEECH_S else np.zeros(0, np.float32)
        wish, start_s = self._wish, window.start / RATE
        return Job(kind, sound, start_s, speech_s, self._language, wish.prompt, wish.translate)

    def done(self, job: Job, decoded: Decoded) -> list[Told]:
        """The result of the last job; returns what is to be told."""
        self.is_busy = False
        text = clean(decoded.text)
        text = "" if is_invented(text, job.speech_s) else text
        if text and (job.kind is not Kind.PARTIAL or len(job.sound) >= 2 * RATE):
            self._language = decoded.language
        if job.kind is Kind.PARTIAL:
            return self._partial([*self._shown, self._steady.take(text)] if not self._pieces else [])
        self._texts += [text] if text else []
        self._segments += [
            (job.start_s + a, job.start_s + b, clean(t), n) for a, b, t, n in decoded.segments if clean(t)
        ]
        if job.kind is Kind.FINAL:
            return [self._final()]
        self._pieces.popleft()
        self._shown += [self._steady.settle(text)]
        return self._partial(self._shown)

    def _partial(self, texts: list[str]) -> list[Told]:
        text = " ".join(filter(None, texts))
        if not text or text == self._told or not self._wish.partials or self.ended_by is not None:
            return []
        self._told = text
        return [{"is": "partial", "text": text, "language": self._known()}]

    def _final(self) -> Told:
        self.is_over = True
        return {
            "is": "final", "text": " ".join(self._texts), "language": self._known(),
            "segments": self._segments, "ended_by": self.ended_by, "duration_s": self._at / RATE,
        }  # fmt: skip

    def _known(self) -> str | None:
        return None if self._language == "auto" else self._language
