"""What the memory knows of a node's newest turns: which request was answered already."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from jota_core.api import Code, MemoryStore, Outcome, Session, StoredMessage

from .requests import Request

REPEATED_S = 600.0
NEWEST = 100


@dataclass(frozen=True, slots=True)
class Past:
    """The newest turns of one conversation."""

    ended: dict[str, StoredMessage]
    """Answers that are over, by turn."""
    asked: dict[str, str]
    """Turns by their words, of the last minutes."""

    @classmethod
    async def of(cls, memory: MemoryStore, session: Session) -> Past:
        """Raises `MemoryStoreError`."""
        if session.conversation_id is None:
            return cls({}, {})
        found = await memory.list_messages(session.conversation_id, session.principal.id, limit=NEWEST)
        newer = time.time() - REPEATED_S
        return cls(
            {each.turn_id: each for each in found if each.outcome is not None},
            {
                each.content: each.turn_id
                for each in found
                if each.role == "user" and each.created_at.timestamp() > newer
            },
        )


def told_again(request: Request, answer: StoredMessage) -> dict[str, Any]:
    """The end of a request that another host has answered, and perhaps could not tell any more."""
    body: dict[str, Any] = {
        **request.head, "text": answer.content, "outcome": answer.outcome, "persisted": True,
        "conversation_id": answer.conversation_id, "message_id": answer.id,
    }  # fmt: skip
    if answer.outcome is not Outcome.COMPLETE:
        body |= {"code": str(Code.UPSTREAM_LOST), "message": "This answer was cut; the text so far is kept."}
    return body
