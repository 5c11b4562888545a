"""Single messages, as the public JotaDB takes and gives them: each is a turn of its own, which is over."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, insert, select

from . import rows
from . import statements as s
from .queries import owned
from .searching import keep_words
from .shelf import Entry
from .statement import Sql, Statement
from .tables import ANSWER, QUESTION, conversations, messages, turns
from .work import touch

_COLUMNS = (
    messages.c.id, turns.c.conversation_id, messages.c.role, messages.c.content, messages.c.ai_model_id,
    messages.c.extra_data, messages.c.created_at, turns.c.state, turns.c.id.label("turn_id"),
)  # fmt: skip
_FOUND = (
    select(*_COLUMNS)
    .join_from(turns, messages, messages.c.turn_seq == turns.c.seq)
    .where(s.TURN_OWNED)
    .limit(bindparam("limit"))
)
OLDEST = Statement(_FOUND.order_by(turns.c.seq, messages.c.position))
NEWEST = Statement(_FOUND.order_by(turns.c.seq.desc(), messages.c.position.desc()))
ADD_MESSAGE = Statement(insert(messages).values({c.name: bindparam(c.name) for c in messages.columns}))
ADD_TURN = Statement(insert(turns).values({c.name: bindparam(c.name) for c in turns.columns}))
NEXT = Statement(select(conversations.c.activity).where(s.OWNED))


def posted(
    sql: Sql, *, key: int, owner: str, role: str, content: str, model: str | None, extra: str | None,
    at: int | None = None,
) -> Entry:  # fmt: skip
    """Keep one message, said now or `at` another time. Raises `not_found`."""
    owned(sql, key=key, owner=owner)
    at = rows.now() if at is None else at
    seq, message_id = sql.numbers(1)[0], rows.message_id()
    position = ANSWER if role == "assistant" else QUESTION
    sql.change(ADD_TURN, {
        "seq": seq, "id": f"message:{message_id}", "conversation_id": key, "client_id": owner,
        "message_id": message_id, "answer_id": message_id, "state": "complete", "note": "",
        "error_code": None, "stats": "{}", "started_at": at, "finished_at": at, "host": 0,
    })  # fmt: skip
    sql.change(ADD_MESSAGE, {
        "turn_seq": seq, "position": position, "id": message_id, "role": role, "content": content,
        "thought": "", "ai_model_id": model, "extra_data": extra, "created_at": at,
    })  # fmt: skip
    keep_words(sql, [(seq, position, owner, content)])
    touch(sql, {key}, at)
    return _entry((message_id, key, role, content, model, extra, at, "complete", ""))


def page(sql: Sql, *, key: int, owner: str, limit: int, latest: bool) -> list[Entry]:
    """The oldest or the newest messages, oldest first. Raises `not_found`."""
    owned(sql, key=key, owner=owner)
    found = sql.all(NEWEST if latest else OLDEST, {"conversation_id": key, "owner": owner, "limit": limit})
    return [_entry(row) for row in (reversed(found) if latest else found)]


def _entry(row: Any) -> Entry:
    names = ("id", "conversation_id", "role", "content", "ai_model_id", "extra_data", "created_at")
    entry: Entry = dict(zip(names, row, strict=False))
    return entry | {"updated_at": entry["created_at"], "version": 1}
