"""Rows of one table as dictionaries: found by key, listed by what they hold, changed under a version."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Boolean, Table, bindparam, delete, insert, select, update

from .rows import now
from .statement import Sql, Statement

MOST = 1000
Entry = dict[str, Any]


class VersionConflict(Exception):
    """Somebody else changed it meanwhile."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"Version conflict: expected {expected}, got {found}")


class Shelf:
    """One table. What is not found is None; every change counts `version` up and renews `updated_at`."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._keys = tuple(column.name for column in table.primary_key.columns)
        self._columns = frozenset(column.name for column in table.columns)

    def one(self, sql: Sql, **where: Any) -> Entry | None:
        """The first that has all this."""
        return next(iter(self.many(sql, where, limit=1)), None)

    def many(
        self, sql: Sql, where: Mapping[str, Any], *, limit: int = MOST, offset: int = 0, order: str = ""
    ) -> list[Entry]:
        """Those that have all this, in the order of a column; `-` in front turns it round."""
        statement = _select(
            self._table, tuple(sorted(where)), tuple(k for k in where if where[k] is None), order
        )
        rows = sql.all(statement, {**where, "limit": limit, "offset": offset})
        return [as_row(self._table, row) for row in rows]

    def add(self, sql: Sql, **values: Any) -> Entry:
        """A new one, dated now."""
        at = now()
        given: Entry = dict.fromkeys(self._columns & {"created_at", "updated_at"}, at)
        given.update(values)
        return as_row(self._table, sql.first(_insert(self._table, tuple(sorted(given))), given))

    def change(
        self, sql: Sql, key: Any, values: Mapping[str, Any], version: int | None = None
    ) -> Entry | None:
        """The one with this key after the change. Raises `VersionConflict` when `version` is not its own."""
        found = self.one(sql, **self._key(key))
        if found is None:
            return None
        if version is not None and version != found["version"]:
            raise VersionConflict(version, found["version"])
        given = {**values, "updated_at": now()}
        if "version" in self._columns:
            given["version"] = found["version"] + 1
        statement = _update(self._table, tuple(sorted(given)))
        named = {f"key_{name}": value for name, value in self._key(key).items()}
        return as_row(self._table, sql.first(statement, {**given, **named}))

    def remove(self, sql: Sql, key: Any) -> bool:
        """Whether it was there."""
        named = {f"key_{name}": value for name, value in self._key(key).items()}
        return bool(sql.change(_delete(self._table), named))

    def _key(self, key: Any) -> dict[str, Any]:
        parts = key if isinstance(key, tuple) else (key,)
        return dict(zip(self._keys, parts, strict=True))


def as_row(table: Table, row: Any) -> Entry:
    """A row by names; SQLite's numbers for true and false become what they mean."""
    return {
        name: bool(value) if is_bool and value is not None else value
        for (name, is_bool), value in zip(_columns(table), row, strict=True)
    }


@cache
def _columns(table: Table) -> tuple[tuple[str, bool], ...]:
    """Names, as plain text, and which are true or false."""
    return tuple((str.__str__(each.name), isinstance(each.type, Boolean)) for each in table.columns)


@cache
def _select(table: Table, names: tuple[str, ...], nulls: frozenset[str], order: str) -> Statement:
    found = select(*table.columns)
    for name in names:
        column = table.c[name]
        found = found.where(
            column.is_(None) if name in nulls else column == bindparam(name, type_=column.type)
        )
    by = table.c[order.lstrip("-")] if order else None
    if by is not None:
        found = found.order_by(by.desc() if order.startswith("-") else by, *table.primary_key.columns)
    else:
        found = found.order_by(*table.primary_key.columns)
    return Statement(found.limit(bindparam("limit")).offset(bindparam("offset")))


@cache
def _insert(table: Table, names: tuple[str, ...]) -> Statement:
    given = {name: bindparam(name, type_=table.c[name].type) for name in names}
    return Statement(insert(table).values(given).returning(*table.columns))


@cache
def _update(table: Table, names: tuple[str, ...]) -> Statement:
    given = {name: bindparam(name, type_=table.c[name].type) for name in names}
    changed = update(table).values(given)
    for column in table.primary_key.columns:
        changed = changed.where(column == bindparam(f"key_{column.name}", type_=column.type))
    return Statement(changed.returning(*table.columns))


@cache
def _delete(table: Table) -> Statement:
    gone = delete(table)
    for column in table.primary_key.columns:
        gone = gone.where(column == bindparam(f"key_{column.name}", type_=column.type))
    return Statement(gone)
