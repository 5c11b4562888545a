"""Speech: an utterance on its way from a door to a backend, what was heard in it, and what is said aloud."""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from .errors import Code, Refused

RATE = 16_000
"""Samples a second of everything that a transcription backend gets."""
SAMPLE_BYTES = 4
"""float32, little-endian, one channel."""
SECOND = RATE * SAMPLE_BYTES


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How a device sends sound: `pcm16` or `float32`, little-endian. Raises `Refused` for other kinds."""

    encoding: Literal["pcm16", "float32"] = "pcm16"
    rate: int = RATE
    """Samples a second, 8,000 to 48,000."""
    channels: int = 1
    """1 or 2; two are mixed."""

    def __post_init__(self) -> None:
        if self.encoding not in ("pcm16", "float32"):
            raise Refused(Code.INVALID_REQUEST, f"Sound as {self.encoding!r} is not known: pcm16 or float32.")
        if not 8000 <= self.rate <= 48_000 or self.channels not in (1, 2):
            raise Refused(
                Code.INVALID_REQUEST,
                f"Sound with {self.rate} samples a second and {self.channels} channels is not taken: "
                "8000 to 48000, and one or two channels.",
            )

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * (2 if self.encoding == "pcm16" else 4)


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """What one utterance wants from its backend."""

    language: str | None = None
    """`es`, `en`, …; `auto` to find out; None leaves it to the backend."""
    ends_itself: bool = True
    """The backend ends it when the speaker has fallen silent."""
    partials: bool = True
    """Tell what was heard so far, again and again."""
    translate: bool = False
    """Write English whatever is spoken, where the model can."""
    prompt: str = ""
    """Words that are likely to be said: names, terms."""
    threshold: float | None = None
    """How sure the backend must be that somebody speaks, 0 to 1; None leaves it to the backend."""
    limit_s: float = 60.0
    """Longest utterance; then it ends by itself."""


class EndedBy(StrEnum):
    """Who or what ended an utterance."""

    CALLER = "caller"
    SILENCE = "silence"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a transcript with its times."""

    start_s: float
    end_s: float
    text: str
    no_speech: float = 0.0
    """How likely it is that nobody spoke, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard: all of it so far, or at last."""

    text: str
    is_final: bool = False
    language: str | None = None
    duration_s: float = 0.0
    """Sound that was listened to."""
    segments: tuple[Segment, ...] = ()
    """Of a final one."""
    ended_by: EndedBy | None = None
    """Of a final one."""
    is_complete: bool = True
    """False when the engine had no time for the last words."""


@dataclass(frozen=True, slots=True)
class Strained:
    """The engine has too much to do: partials come late until it is told that this is over."""

    is_strained: bool


Heard = Transcript | Strained


class Utterance:
    """One stretch of speech: a door feeds it, a backend reads it. Bounded in seconds.

    Sound is float32 mono with 16,000 samples a second once it is inside; `convert` makes it so, and is
    called with nothing once at the end.
    """

    MOST_S = 30.0
    """Sound that waits for the backend; more is dropped and counted."""

    def __init__(
        self,
        options: ListenOptions = ListenOptions(),
        frame_bytes: int = SAMPLE_BYTES,
        convert: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self.id = "utt_" + secrets.token_hex(8)
        self.options = options
        self.is_ended = False
        self.is_cancelled = False
        """It becomes no turn, whatever is heard."""
        self.dropped = 0
        """Pieces of sound that were dropped."""
        self._frame = frame_bytes
        self._convert = convert
        self._rest = b""
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._news = asyncio.Event()
        self._was_read = asyncio.Event()

    @property
    def waiting_s(self) -> float:
        """Seconds of sound that the backend has not read yet."""
        return self._size / SECOND

    def feed(self, sound: bytes) -> bool:
        """Take more sound; never waits. False when it was dropped: too much waits, or the end was told."""
        if self.is_ended:
            return False
        if self.waiting_s >= self.MOST_S:
            self.dropped += 1
            return False
        sound = self._rest + sound
        whole = len(sound) - len(sound) % self._frame
        self._rest = sound[whole:]
        self._keep(self._convert(sound[:whole]) if whole else b"")
        return True

    def end(self) -> None:
        """No more sound comes. Safe to call twice."""
        if not self.is_ended:
            self._keep(self._convert(b""))
            self.is_ended = True
            self._news.set()

    def cancel(self) -> None:
        """Give it up: what was said counts for nothing."""
        self.is_cancelled = True
        self.end()

    def _keep(self, sound: bytes) -> None:
        if sound:
            self._waiting.append(sound)
            self._size += len(sound)
            self._news.set()

    async def read(self) -> bytes:
        """All sound that has come since; nothing after the end."""
        while not self._waiting and not self.is_ended:
            self._news.clear()
            await self._news.wait()
        sound = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        self._was_read.set()
        return sound

    async def drained(self, seconds: float) -> None:
        """Wait until at most so much sound waits for the backend."""
        while self.waiting_s > seconds:
            self._was_read.clear()
            await self._was_read.wait()


@dataclass(frozen=True, slots=True)
class HearingLoad:
    """What ears are busy with."""

    utterances: int = 0
    decoding: int = 0
    """Pieces of speech being decoded now."""
    slots: int = 0
    """Pieces that can be decoded at once."""


class TranscriptionBackend(ABC):
    """Turns speech into text, near or far."""

    @property
    @abstractmethod
    def available(self) -> bool:
        """Whether `transcribe` has a chance now. Cheap."""

    @property
    @abstractmethod
    def languages(self) -> Sequence[str]:
        """Languages that it is good at, the usual one first."""

    @property
    def load(self) -> HearingLoad:
        """What it is busy with; nothing where only another machine knows."""
        return HearingLoad()

    @abstractmethod
    def transcribe(self, utterance: Utterance) -> AsyncGenerator[Heard, None]:
        """Yield partial transcripts while it is spoken, and at last one that is final.

        An async generator: closing it gives the utterance up. Raises `BackendError`.
        """


@dataclass(frozen=True, slots=True)
class Voice:
    """Somebody who can speak."""

    id: str
    name: str
    language: str


@dataclass(frozen=True, slots=True)
class SpeakOptions:
    """How a text is said."""

    language: str | None = None
    """None leaves it to the backend, which looks at the text."""
    voice: str | None = None
    """Id of a voice; one that is not known is not an error: the usual one of the language speaks."""
    speed: float = 1.0
    """0.25 to 4; 1 is the voice's own pace."""


class SpeechBackend(ABC):
    """Says texts aloud, near or far."""

    @property
    @abstractmethod
    def available(self) -> bool:
        """Whether `speak` has a chance now. Cheap."""

    @property
    @abstractmethod
    def rate(self) -> int:
        """Samples a second of what it yields."""

    @abstractmethod
    async def voices(self) -> Sequence[Voice]:
        """Who can speak, the usual one first. Raises `BackendError`."""

    @abstractmethod
    def speak(self, text: str, options: SpeakOptions) -> AsyncGenerator[bytes, None]:
        """Yield PCM16 mono, little-endian, as it is made: one sentence or clause of plain words.

        An async generator: closing it ends the work. Raises `BackendError`.
        """
