"""Events: replies that go to one user, and facts that go to observers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .errors import Code
from .facts import State
from .generation import Delta
from .speech import Transcript
from .turns import Outcome, TurnStats


@dataclass(frozen=True, slots=True)
class TurnBegan:
    """Reply: the user's message is durable; its answer follows."""

    turn_id: str
    conversation_id: int
    message_id: str


@dataclass(frozen=True, slots=True)
class Status:
    """Reply: a line about what happens meanwhile (a tool runs, a long prompt is read)."""

    turn_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why a turn did not end well."""

    code: Code
    sentence: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """Reply: the last event of every turn, exactly one each. What it tells is stored already."""

    turn_id: str
    conversation_id: int | None
    message_id: str | None
    """The stored answer, where there is one."""
    outcome: Outcome
    persisted: bool
    stats: TurnStats = TurnStats()
    error: ErrorInfo | None = None
    """None when complete."""


@dataclass(frozen=True, slots=True)
class Transcribed:
    """Reply: what was heard of an utterance so far, or at last."""

    utterance_id: str
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class UtteranceStrained:
    """Reply: the ears have too much to do, or no longer."""

    utterance_id: str
    is_strained: bool


@dataclass(frozen=True, slots=True)
class UtteranceEnded:
    """Reply: the last event of every utterance, exactly one each."""

    utterance_id: str
    turn_id: str | None
    """The turn that it became; None when nothing was said, or the door submits it itself."""
    error: ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class BargedIn:
    """Reply: somebody spoke over an answer, which was cut."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class Sound:
    """Reply: the next piece of an answer, said aloud; PCM16 mono, little-endian."""

    turn_id: str
    samples: bytes
    rate: int
    """Samples a second."""


@dataclass(frozen=True, slots=True)
class SpeechFailed:
    """Reply: the rest of this answer is not said aloud; its text goes on."""

    turn_id: str
    error: ErrorInfo


SpeechEvent = Transcribed | UtteranceStrained | UtteranceEnded | BargedIn | Sound | SpeechFailed
"""What only a door that takes or wants sound is sent."""
ReplyEvent = Delta | TurnBegan | Status | TurnEnded | SpeechEvent
"""What a reply sink may be sent. A turn is `TurnBegan`, deltas of kind `content`, `TurnEnded`;
a turn refused before its message was durable is a `TurnEnded` alone. An utterance is transcripts and
`UtteranceEnded`."""


@dataclass(frozen=True, slots=True)
class SectionChanged:
    """Fact: a section changed its state."""

    section: str
    state: State
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """Fact: an app or node attached."""

    session_id: str
    door: str


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """Fact: an app or node left."""

    session_id: str
    door: str


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """Fact: a turn is over; `door` is the section name of the door it came through."""

    turn_id: str
    door: str
    outcome: Outcome
    stats: TurnStats
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class GenerationFinished:
    """Fact: a backend has answered another machine, which asked this host as a backend."""

    turn_id: str
    """As the asking machine calls it; empty when it did not say."""
    backend: str
    tokens: int
    ttft_ms: float | None
    total_ms: float
    outcome: str
    """`complete`, `aborted` or a code."""


@dataclass(frozen=True, slots=True)
class StoreUsed:
    """Fact: the memory was asked for something."""

    turn_id: str
    """For which turn; empty outside of turns."""
    operation: str
    """The method of `MemoryStore`."""
    seconds: float
    is_ok: bool


@dataclass(frozen=True, slots=True)
class LoopBlocked:
    """Fact: the event loop stood still for `lag_ms`; `section` is the culprit where known."""

    lag_ms: float
    section: str | None
    where: str


@dataclass(frozen=True, slots=True)
class ReminderDue:
    """Fact: the time of a reminder has come; doors tell its owner, or everybody when there is none."""

    reminder_id: str
    owner: str | None
    message: str
    at: datetime


Event = (
    SectionChanged
    | SessionOpened
    | SessionClosed
    | TurnFinished
    | GenerationFinished
    | StoreUsed
    | LoopBlocked
    | ReminderDue
)
