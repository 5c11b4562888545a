"""Events: replies that go to one user, and facts that go to observers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .errors import Code
from .facts import State
from .generation import Delta
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


ReplyEvent = Delta | TurnBegan | Status | TurnEnded
"""What a reply sink may be sent. A turn is `TurnBegan`, deltas of kind `content`, `TurnEnded`;
a turn refused before its message was durable is a `TurnEnded` alone."""


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


Event = SectionChanged | SessionOpened | SessionClosed | TurnFinished | LoopBlocked | ReminderDue
