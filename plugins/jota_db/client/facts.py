"""What the server tells, as facts of the host."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from jota_core.api import (
    Code,
    Conversation,
    MemoryStoreError,
    Outcome,
    Record,
    StoredMessage,
    TurnRecord,
    TurnResult,
)

MARK = " [INTERRUPTED]"
_TURN = ("turn_id", "conversation_id", "owner", "user_message_id", "answer_id")


def new_id() -> str:
    """Of a message."""
    return str(uuid4())


def conversation(told: Any) -> Conversation:
    """Raises `MemoryStoreError` for what is none."""
    try:
        return Conversation(**{**told, "created_at": _at(told), "updated_at": _at(told, "updated_at")})
    except (TypeError, KeyError, ValueError):
        raise _strange() from None


def message(told: Any) -> StoredMessage:
    """Raises `MemoryStoreError` for what is none."""
    try:
        outcome = Outcome(told["outcome"]) if told["outcome"] else None
        return StoredMessage(**{**told, "created_at": _at(told), "outcome": outcome})
    except (TypeError, KeyError, ValueError):
        raise _strange() from None


def record(told: Any) -> TurnRecord:
    """Raises `MemoryStoreError` for what is none."""
    try:
        return TurnRecord(*(told[name] for name in _TURN))
    except (TypeError, KeyError):
        raise _strange() from None


def record_kept(told: Any) -> Record:
    """Raises `MemoryStoreError` for what is none."""
    try:
        return Record(told["key"], told["value"], told["version"])
    except (TypeError, KeyError):
        raise _strange() from None


def question(of: TurnRecord, text: str, note: str) -> StoredMessage:
    """A user's message as the server will tell it."""
    now = datetime.now(UTC)
    return StoredMessage(of.user_message_id, of.conversation_id, of.turn_id, "user", text, now, note)


def answer(of: TurnRecord, result: TurnResult) -> StoredMessage:
    """An answer as the server will tell it."""
    text = result.text
    if result.outcome is Outcome.INTERRUPTED:
        text = text + MARK if text else MARK.strip()
    return StoredMessage(
        of.answer_id, of.conversation_id, of.turn_id, "assistant", text, datetime.now(UTC),
        thought=result.thought, outcome=result.outcome, model_id=result.stats.model,
    )  # fmt: skip


def path(of: TurnRecord) -> str:
    """Where the server has a turn."""
    return f"/turns/{of.conversation_id}/{quote(of.turn_id, safe='')}"


def ids(of: TurnRecord) -> dict[str, str]:
    """Of its messages, as they are told to the server."""
    return {"message_id": of.user_message_id, "answer_id": of.answer_id}


def _at(told: Any, name: str = "created_at") -> datetime:
    return datetime.fromisoformat(told[name])


def _strange() -> MemoryStoreError:
    return MemoryStoreError(Code.INTERNAL, "JotaDB answered something that this version does not understand.")
