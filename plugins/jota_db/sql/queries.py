"""What is asked rarely enough to be done one at a time; each function runs in a connection's thread."""

from __future__ import annotations

from jota_core.api import Code, Conversation, MemoryStoreError, StoredMessage

from ..people.configs import config_of
from . import rows
from . import statements as s
from .statement import Sql
from .work import no_such_conversation


def owned(sql: Sql, *, key: int, owner: str) -> Conversation:
    """One conversation. Raises `not_found`, also for another owner's."""
    row = sql.first(s.CONVERSATION_NAMED, {"conversation_id": key, "owner": owner})
    if row is None:
        raise no_such_conversation(key)
    return rows.conversation(row)


def page(sql: Sql, *, owner: str, limit: int, offset: int) -> list[Conversation]:
    """An owner's conversations, latest first."""
    found = sql.all(s.CONVERSATIONS, {"owner": owner, "limit": limit, "offset": offset})
    return [rows.conversation(row) for row in found]


def latest(sql: Sql, *, owner: str) -> Conversation | None:
    """The conversation that the owner used last."""
    return next(iter(page(sql, owner=owner, limit=1, offset=0)), None)


def make(sql: Sql, *, owner: str, new: bool) -> tuple[Conversation, bool]:
    """A new conversation and True; without `new` the latest one and False, if it appeared meanwhile."""
    found = None if new else latest(sql, owner=owner)
    if found is not None:
        return found, False
    given = {"owner": owner, "seq": sql.numbers(1)[0], "now": rows.now()}
    sql.change(s.ADD_CLIENT, given)
    config = config_of(sql, owner)
    given["model"] = config["preferred_model_id"] if config else None
    return rows.conversation(sql.first(s.ADD_CONVERSATION, given)), True


def recall(sql: Sql, *, key: int, owner: str, limit: int) -> tuple[list[StoredMessage], int]:
    """The newest messages of finished turns, oldest first, and the number of the last turn."""
    given = {"conversation_id": key, "owner": owner, "limit": limit}
    found = sql.all(s.RECALL, given)
    if not found:
        owned(sql, key=key, owner=owner)
    last_seq = found[0][-1] if found else 0
    return [rows.message(row) for row in reversed(found)], last_seq


def messages(sql: Sql, *, key: int, owner: str, limit: int, before: str | None) -> list[StoredMessage]:
    """A page of messages, oldest first; unfinished ones too."""
    given = {"conversation_id": key, "owner": owner, "limit": limit}
    owned(sql, key=key, owner=owner)
    if before is None:
        found = sql.all(s.NEWEST_MESSAGES, given)
    else:
        place = sql.first(s.PLACE_OF_MESSAGE, {**given, "message_id": before})
        if place is None:
            raise MemoryStoreError(Code.NOT_FOUND, f"There is no message {before!r} in conversation {key}.")
        found = sql.all(s.OLDER_MESSAGES, {**given, "seq": place[0], "position": place[1]})
    return [rows.message(row) for row in reversed(found)]


def count(sql: Sql) -> int:
    """How many conversations there are."""
    return int(sql.first(s.COUNT_CONVERSATIONS, {})[0])


def set_model(sql: Sql, *, key: int, owner: str, model: str) -> None:
    """Raises `not_found`."""
    given = {"conversation_id": key, "owner": owner, "model": model, "now": rows.now()}
    if not sql.change(s.SET_MODEL, given):
        raise no_such_conversation(key)


def delete(sql: Sql, *, key: int, owner: str) -> list[int]:
    """Everything of a conversation; returns its id in a list. Raises `not_found`."""
    if not sql.change(s.DELETE_CONVERSATION, {"conversation_id": key, "owner": owner}):
        raise no_such_conversation(key)
    return [key]


def forget(sql: Sql, *, before: int, limit: int) -> list[int]:
    """Delete some conversations that were last touched before a time; returns their ids."""
    return [row[0] for row in sql.all(s.FORGET, {"before": before, "limit": limit})]
