"""Reminders whose time has come: marked once, whoever of several hosts is first, and told by all of them."""

from __future__ import annotations

from sqlalchemy import bindparam, func, select, update

from .agenda import reminders
from .rows import now
from .shelf import Entry, as_row
from .statement import Sql, Statement

_r = reminders.c
_waits = (_r.fired_at.is_(None)) & (_r.trigger_at <= bindparam("now"))
_DUE = Statement(select(func.count()).select_from(reminders).where(_waits))
_FIRE = Statement(
    update(reminders)
    .where(_waits)
    .values(fired_at=bindparam("now"), version=_r.version + 1, updated_at=bindparam("now"))
)
_FIRED = Statement(
    select(*reminders.columns)
    .where(_r.fired_at > bindparam("mark"))
    .order_by(_r.fired_at, _r.trigger_at)
    .limit(1000)
)


def are_due(sql: Sql) -> bool:
    """Whether any waits whose time has come."""
    return bool(sql.first(_DUE, {"now": now()})[0])


def fire(sql: Sql) -> int:
    """Mark them; each is marked once. Returns how many."""
    return sql.change(_FIRE, {"now": now()})


def fired_since(sql: Sql, mark: int) -> list[Entry]:
    """Those marked after a moment, by any host."""
    return [as_row(reminders, row) for row in sql.all(_FIRED, {"mark": mark})]
