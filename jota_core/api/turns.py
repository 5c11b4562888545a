"""Facts of a turn: its draft, its end, and what memory keeps of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .facts import Principal
from .generation import Constraint, Message, Role, Sampling, ToolSpec


@dataclass(frozen=True, slots=True)
class TurnOptions:
    """What an app may ask of one turn; nothing here is stored."""

    model: str | None = None
    system_extra: str | None = None
    """Text added to the system prompt."""
    sampling: Sampling = Sampling()
    constraint: Constraint | None = None
    use_tools: bool = True
    background: bool = False
    """Nobody waits for the answer: turns that somebody waits for go first."""


@dataclass(frozen=True, slots=True)
class TurnDraft:
    """A turn before generation, for `jota_prepare_turn` and `jota_choose_backend` to look at."""

    turn_id: str
    conversation_id: int
    principal: Principal
    text: str
    system: str
    """Stable from turn to turn, so that its evaluation stays warm."""
    history: tuple[Message, ...] = ()
    notes: tuple[str, ...] = ()
    """Volatile lines (the clock …), put behind the user's text and kept with it."""
    tools: tuple[ToolSpec, ...] = ()
    options: TurnOptions = TurnOptions()


class Outcome(StrEnum):
    """How a turn ended."""

    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    """Cut by the app, the host or the backend; the text so far is kept, marked `[INTERRUPTED]`."""
    FAILED = "failed"
    """No text at all; the user's message is kept."""


@dataclass(frozen=True, slots=True)
class TurnStats:
    """What a turn cost; durations by the monotonic clock."""

    ttft_ms: float | None = None
    """From submit to the first delta."""
    total_ms: float = 0.0
    tokens: int = 0
    prompt_tokens: int = 0
    reprocessed_tokens: int = 0
    """Prompt tokens that had to be evaluated because they were not warm."""
    tps: float | None = None
    backend: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """The lasting thread of turns; belongs to one owner."""

    id: int
    owner: str
    title: str | None
    model_id: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message as memory keeps it."""

    id: str
    conversation_id: int
    turn_id: str
    role: Role
    content: str
    created_at: datetime
    note: str = ""
    """Volatile lines that the model saw behind a user's text."""
    thought: str = ""
    outcome: Outcome | None = None
    """Of an answer; None while it is being written and on user messages."""
    model_id: str | None = None


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """A turn that memory has made durable and that is not finished yet."""

    turn_id: str
    conversation_id: int
    owner: str
    user_message_id: str
    answer_id: str
    is_repeated: bool = False
    """It had begun before, by somebody else's hand or before a restart."""


@dataclass(frozen=True, slots=True)
class TurnResult:
    """What is kept of a finished turn."""

    outcome: Outcome
    text: str
    thought: str = ""
    note: str = ""
    error_code: str | None = None
    stats: TurnStats = TurnStats()
