"""Rows of the tables to and from the facts that the host knows."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from jota_core.api import Conversation, Outcome, StoredMessage, TurnRecord, TurnResult, TurnStats

from .statement import Row
from .statements import MARK
from .tables import ANSWER, QUESTION, RUNNING

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATS = tuple(field.name for field in fields(TurnStats))


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def moment(microseconds: int) -> datetime:
    """A stored time, aware, in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def message_id() -> str:
    """A UUID of version 7: the time in front keeps an index's new entries on one page."""
    number = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76) | 0x7 << 76
    return str(UUID(int=number & ~(0x3 << 62) | 0x2 << 62))


def storable(text: str) -> str:
    """Text without NUL, which PostgreSQL does not take; it is shown as what cannot be shown."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def marked(result: TurnResult) -> str:
    """The answer's text as it is kept."""
    if result.outcome is not Outcome.INTERRUPTED:
        return result.text
    return result.text + MARK if result.text else MARK.strip()


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """A turn that this process has begun: its rows as they were written."""

    record: TurnRecord
    turn: Row
    message: Row


def opened(record: TurnRecord, text: str, *, seq: int, host: int) -> OpenTurn:
    """A turn that begins now, as number `seq`."""
    at = now()
    turn = {
        "seq": seq, "id": record.turn_id, "conversation_id": record.conversation_id,
        "client_id": record.owner, "message_id": record.user_message_id, "answer_id": record.answer_id,
        "state": RUNNING, "host": host, "note": "", "error_code": None, "stats": None, "started_at": at,
        "finished_at": None,
    }  # fmt: skip
    return OpenTurn(record, turn, _message(seq, QUESTION, record.user_message_id, "user", text, at))


def ended(turn: OpenTurn, result: TurnResult) -> Row:
    """The turn's row once it is finished."""
    stats = json.dumps({name: getattr(result.stats, name) for name in _STATS})
    return {
        **turn.turn, "state": result.outcome.value, "note": storable(result.note),
        "error_code": result.error_code, "stats": stats, "finished_at": now(),
    }  # fmt: skip


def answer(turn: OpenTurn, text: str, thought: str = "", model: str | None = None) -> Row:
    """The answer's row, whole or so far."""
    row = _message(turn.turn["seq"], ANSWER, turn.record.answer_id, "assistant", text, now())
    row.update(thought=storable(thought), ai_model_id=model)
    return row


def _message(seq: int, position: int, key: str, role: str, text: str, at: int) -> dict[str, Any]:
    return {
        "turn_seq": seq, "position": position, "id": key, "role": role, "content": storable(text),
        "thought": "", "ai_model_id": None, "extra_data": None, "created_at": at,
    }  # fmt: skip


def conversation(row: Any) -> Conversation:
    """A row of `statements.CONVERSATION`."""
    key, owner, title, model_id, created_at, updated_at = row
    return Conversation(key, owner, title or None, model_id, moment(created_at), moment(updated_at))


def message(row: Any) -> StoredMessage:
    """A row of `statements.MESSAGE`."""
    key, conversation_id, turn_id, role, content, at, note, thought, state, model, position, _ = row
    answers = position == ANSWER
    outcome = Outcome(state) if answers and state != RUNNING else None
    own_note = note if position == QUESTION else ""
    return StoredMessage(
        key, conversation_id, turn_id, role, content, moment(at), own_note, thought, outcome, model
    )


def both_messages(turn: Row, question: Row, reply: Row | None) -> list[StoredMessage]:
    """A finished turn's messages from the rows that were written, as `message` would read them."""
    return [
        message(
            (row["id"], turn["conversation_id"], turn["id"], row["role"], row["content"],
             row["created_at"], turn["note"], row["thought"], turn["state"], row["ai_model_id"],
             row["position"], turn["seq"])
        )
        for row in (question, reply)
        if row is not None
    ]  # fmt: skip
