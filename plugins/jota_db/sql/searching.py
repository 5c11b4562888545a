"""Full-text search over all conversations of an owner, newest first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import bindparam, select

from jota_core.api import StoredMessage

from . import rows
from . import statements as s
from .statement import Place, Sql, Statement
from .tables import messages, turns
from .words import MOST_ASKED, owner_word, words_of

ALL = Statement(
    select(messages.c.turn_seq, messages.c.position, turns.c.client_id, messages.c.content)
    .join_from(turns, messages, messages.c.turn_seq == turns.c.seq)
    .where(~s.IS_RUNNING, messages.c.turn_seq > bindparam("after"))
    .order_by(messages.c.turn_seq, messages.c.position)
    .limit(bindparam("limit"))
)
OF_TURN = Statement(
    select(messages.c.turn_seq, messages.c.position, turns.c.client_id, messages.c.content)
    .join_from(turns, messages, messages.c.turn_seq == turns.c.seq)
    .where(turns.c.seq == bindparam("seq"))
)
ONE = Statement(
    select(*s.MESSAGE)
    .join_from(turns, messages, messages.c.turn_seq == turns.c.seq)
    .where(messages.c.turn_seq == bindparam("seq"), messages.c.position == bindparam("position"))
    .where(turns.c.client_id == bindparam("owner"))
)


def keep_words(sql: Sql, found: Iterable[tuple[int, int, str, str]]) -> None:
    """Make messages searchable: number of the turn, position, owner, text."""
    sql.index([((seq, at), [owner_word(owner), *words_of(text)]) for seq, at, owner, text in found])


def keep_words_of(sql: Sql, seqs: Iterable[int]) -> None:
    """Make the messages of turns searchable, by their numbers."""
    for seq in seqs:
        keep_words(sql, [(row[0], row[1], row[2], row[3]) for row in sql.all(OF_TURN, {"seq": seq})])


def keep_all_words(sql: Sql, page: int = 500) -> None:
    """Of every message there is; for a store whose index is empty."""
    after = 0
    while found := sql.all(ALL, {"after": after, "limit": 2 * page}):
        last = found[-1][0] if len(found) == 2 * page else None
        whole = [row for row in found if row[0] != last]  # the last turn may go on on the next page
        keep_words(sql, [(row[0], row[1], row[2], row[3]) for row in whole])
        if last is None:
            return
        after = whole[-1][0]


def fill_once(sql: Sql) -> None:
    """A store from before there was an index: put everything into it."""
    if sql.first(ALL, {"after": 0, "limit": 1}) is None or sql.has_words():
        return
    sql.say("BEGIN IMMEDIATE")
    try:
        keep_all_words(sql)
        sql.say("COMMIT")
    finally:
        if sql.in_transaction:
            sql.say("ROLLBACK")


def search(sql: Sql, *, owner: str, query: str, limit: int) -> list[StoredMessage]:
    """Messages with all words of the query, each perhaps the beginning of a longer one; newest first."""
    asked = words_of(query)[:MOST_ASKED]
    if not asked or limit <= 0:
        return []
    return [rows.message(row) for row in _rows(sql, owner, sql.search(owner_word(owner), asked, limit))]


def _rows(sql: Sql, owner: str, places: list[Place]) -> Iterable[Any]:
    for seq, position in places:
        row = sql.first(ONE, {"seq": seq, "position": position, "owner": owner})
        if row is not None:
            yield row
