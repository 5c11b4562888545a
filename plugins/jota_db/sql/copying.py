"""Everything of one store into another, empty one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Table, bindparam, func, insert, select, tuple_

from . import statements as s
from .cut import mark_cut_turns
from .schema import TABLES
from .searching import keep_all_words
from .shelf import as_row
from .statement import Row, Rows, Sql, Statement

PAGE = 500
Told = Callable[[str, int], None]


class NotEmpty(Exception):
    """The target holds something already."""


def copy(source: Sql, target: Sql, told: Told) -> int:
    """Copy every table in one transaction of the target; `told` hears table and rows so far.

    Returns how many rows it were. Turns that still ran are marked as cut. Raises `NotEmpty`.
    """
    source.say("BEGIN")  # one snapshot
    target.say("BEGIN IMMEDIATE")
    try:
        rows = sum(_copy_table(table, source, target, told) for table in TABLES.sorted_tables)
        keep_all_words(target)
        target.say("COMMIT")
    finally:
        for sql in (source, target):
            if sql.in_transaction:
                sql.say("ROLLBACK")
    for row in target.all(s.RUNNING_HOSTS, {}):
        mark_cut_turns(target, host=row[0])
    return rows


def highest_numbers(sql: Sql) -> tuple[int, int]:
    """Of the one counter, and of conversations; what a database that counts itself has to know."""
    counter = max(int(sql.first(last, {})[0]) for last in (s.LAST_TURN, s.LAST_ACTIVITY))
    return counter, int(sql.first(s.LAST_CONVERSATION, {})[0])


def _copy_table(table: Table, source: Sql, target: Sql, told: Told) -> int:
    if target.first(Statement(select(func.count()).select_from(table)), {})[0]:
        raise NotEmpty
    into = Rows(insert(table).values({column.name: bindparam(column.name) for column in table.columns}))
    count = 0
    for page in _pages(table, source):
        target.insert(into, page)
        count += len(page)
        told(table.name, count)
    return count


def _pages(table: Table, source: Sql) -> Iterator[Sequence[Row]]:
    """In the order of the primary key; each page begins behind the last one's end."""
    keys = list(table.primary_key.columns)
    ordered = select(*table.columns).order_by(*keys).limit(PAGE)
    after = tuple_(*(bindparam(f"after_{key.name}", type_=key.type) for key in keys))
    first, further = Statement(ordered), Statement(ordered.where(tuple_(*keys) > after))
    found: list[Any] = source.all(first, {})
    while found:
        page = [as_row(table, row) for row in found]
        yield page
        found = source.all(further, {f"after_{key.name}": page[-1][key.name] for key in keys})
