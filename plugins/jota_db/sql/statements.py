"""Every statement of the store, written once in SQLAlchemy Core for both databases."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert  # SQLite says the same

from .statement import Rows, Statement
from .tables import ANSWER, INTERRUPTED, QUESTION, RUNNING, clients, conversations, messages, turns

MARK = " [INTERRUPTED]"
"""Stands behind the text of an answer that was cut."""

c, t, m = conversations.c, turns.c, messages.c
OWNED = and_(c.id == bindparam("conversation_id"), c.client_id == bindparam("owner"))
TURN_OWNED = and_(t.conversation_id == bindparam("conversation_id"), t.client_id == bindparam("owner"))
IS_RUNNING = t.state == literal_column(f"'{RUNNING}'")  # in the text: a partial index needs to see it
CONVERSATION = (c.id, c.client_id, c.title, c.model_id, c.created_at, c.updated_at)
MESSAGE = (
    m.id, t.conversation_id, t.id, m.role, m.content, m.created_at,
    t.note, m.thought, t.state, m.ai_model_id, m.position, t.seq,
)  # fmt: skip


def _row(table: Table) -> dict[str, Any]:
    return {column.name: bindparam(column.name) for column in table.columns}


def _over(table: Table, *names: str) -> Rows:
    """An insert that overwrites the columns `names` of a row that is there already."""
    into = upsert(table).values(_row(table))
    new = {name: into.excluded[name] for name in names}
    return Rows(into.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=new))


def _newest(*conditions: Any) -> Statement:
    found: Select[Any] = select(*MESSAGE).join_from(turns, messages, m.turn_seq == t.seq)
    newest = found.where(TURN_OWNED, *conditions).order_by(t.seq.desc(), m.position.desc())
    return Statement(newest.limit(bindparam("limit")))


ADD_CLIENT = Statement(
    upsert(clients)
    .values(id=bindparam("owner"), created_at=bindparam("now"))
    .on_conflict_do_nothing(index_elements=[clients.c.id])
)
ADD_CONVERSATION = Statement(
    insert(conversations)
    .values(
        client_id=bindparam("owner"),
        model_id=bindparam("model"),
        activity=bindparam("seq"),
        created_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
    .returning(*CONVERSATION)
)
CONVERSATION_NAMED = Statement(select(*CONVERSATION).where(OWNED))
CONVERSATIONS = Statement(
    select(*CONVERSATION)
    .where(c.client_id == bindparam("owner"))
    .order_by(c.activity.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
COUNT_CONVERSATIONS = Statement(select(func.count()).select_from(conversations))
SET_MODEL = Statement(
    update(conversations)
    .where(OWNED)
    .values(model_id=bindparam("model"), updated_at=bindparam("now"), version=c.version + 1)
)
DELETE_CONVERSATION = Statement(delete(conversations).where(OWNED))
_busy = exists().where(t.conversation_id == c.id, IS_RUNNING)
_old = select(c.id).where(c.updated_at < bindparam("before"), ~_busy).limit(bindparam("limit"))
FORGET = Statement(delete(conversations).where(c.id.in_(_old)).returning(c.id))

ADD_TURNS = Rows(insert(turns).values(_row(turns)))
ADD_TURN_ONCE = Statement(upsert(turns).values(_row(turns)).on_conflict_do_nothing(index_elements=[t.id]))
ADD_MESSAGES = Rows(insert(messages).values(_row(messages)))
END_TURNS = _over(turns, "state", "note", "error_code", "stats", "finished_at")
WRITE_ANSWERS = _over(messages, "content", "thought", "ai_model_id", "created_at")
DROP_ANSWER = Statement(delete(messages).where(m.turn_seq == bindparam("seq"), m.position == ANSWER))
TURN = Statement(
    select(t.seq, t.conversation_id, t.client_id, t.message_id, t.answer_id, t.started_at, t.stats).where(
        t.id == bindparam("turn_id")
    )
)

RECALL = _newest(~IS_RUNNING)
NEWEST_MESSAGES = _newest()
_older = or_(t.seq < bindparam("seq"), and_(t.seq == bindparam("seq"), m.position < bindparam("position")))
OLDER_MESSAGES = _newest(_older)
PLACE_OF_MESSAGE = Statement(
    select(t.seq, m.position)
    .join_from(turns, messages, m.turn_seq == t.seq)
    .where(TURN_OWNED, m.id == bindparam("message_id"))
)

LAST_TURN = Statement(select(func.coalesce(func.max(t.seq), 0)))
LAST_CONVERSATION = Statement(select(func.coalesce(func.max(c.id), 0)))
LAST_ACTIVITY = Statement(select(func.coalesce(func.max(c.activity), 0)))
CUT = and_(IS_RUNNING, t.host == bindparam("host"))
_cut = select(t.seq).where(CUT)
CUT_TURNS = Statement(_cut)
MARK_PARTIAL_ANSWERS = Statement(
    update(messages)
    .where(m.turn_seq.in_(_cut), m.position == ANSWER)
    .values(content=case((m.content == "", MARK.strip()), else_=m.content + MARK))
)
ADD_MISSING_ANSWERS = Statement(
    insert(messages).from_select(
        ["turn_seq", "position", "id", "role", "content", "thought", "created_at"],
        select(
            t.seq, literal(ANSWER), t.answer_id, literal("assistant"), literal(MARK.strip()),
            literal(""), bindparam("now"),
        ).where(
            CUT,
            ~exists().where(m.turn_seq == t.seq, m.position == ANSWER),
        ),
    )
)  # fmt: skip
END_CUT_TURNS = Statement(
    update(turns)
    .where(CUT)
    .values(
        state=literal(INTERRUPTED),
        error_code=bindparam("code"),
        finished_at=bindparam("now"),
        stats=null(),
    )
)
RUNNING_HOSTS = Statement(select(t.host).where(IS_RUNNING).distinct())


@cache
def touch(count: int) -> Statement:
    """Note that `count` conversations had a turn: they are the latest, and have a title from now on."""
    newest = select(func.max(t.seq)).where(t.conversation_id == c.id).scalar_subquery()
    opening = (
        select(func.trim(func.replace(func.substr(m.content, 1, 80), "\n", " ")))
        .join_from(turns, messages, m.turn_seq == t.seq)
        .where(t.conversation_id == c.id, m.position == QUESTION)
        .order_by(t.seq)
        .limit(1)
        .scalar_subquery()
    )
    ids: list[Any] = [bindparam(f"id{place}") for place in range(count)]
    return Statement(
        update(conversations)
        .where(c.id.in_(ids))
        .values(
            updated_at=bindparam("now"),
            version=c.version + 1,
            activity=func.coalesce(newest, c.activity),
            title=func.coalesce(c.title, opening),
        )
    )
