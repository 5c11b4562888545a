"""Turns that a host left behind when it was killed."""

from __future__ import annotations

from jota_core.api import Code

from . import statements as s
from .rows import now
from .searching import keep_words_of
from .statement import Sql


def mark_cut_turns(sql: Sql, *, host: int) -> int:
    """Mark what a host left that is gone: text so far is kept. Returns how many turns it were."""
    sql.say("BEGIN IMMEDIATE")
    try:
        cut = end_turns(sql, host=host)
        sql.say("COMMIT")
    except BaseException:
        if sql.in_transaction:
            sql.say("ROLLBACK")
        raise
    return cut


def end_turns(sql: Sql, *, host: int) -> int:
    """The same inside a transaction."""
    given = {"now": now(), "code": Code.SERVER_RESTART.value, "host": host}
    cut = [row[0] for row in sql.all(s.CUT_TURNS, given)]
    sql.change(s.MARK_PARTIAL_ANSWERS, given)
    sql.change(s.ADD_MISSING_ANSWERS, given)
    sql.change(s.END_CUT_TURNS, given)
    keep_words_of(sql, cut)
    return len(cut)
