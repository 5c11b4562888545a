"""SQLAlchemy Core statements, compiled once, and the thin hand that runs them in the connection's thread.

A hop to the thread costs more than a statement, and every call of `sqlite3` gives the interpreter lock
away, which a busy event loop returns only after its switch interval. So a unit of work is a plain
function that runs with one hop, and many rows go in with one call.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql.expression import ClauseElement

DIALECT = SQLiteDialect_pysqlite(paramstyle="qmark")
MOST_ROWS = 64
Row = Mapping[str, Any]


class Statement:
    """One statement; `values` puts named parameters in the order of its question marks."""

    __slots__ = ("_fixed", "_order", "sql")

    def __init__(self, clause: ClauseElement) -> None:
        compiled = clause.compile(dialect=DIALECT)
        self.sql = str(compiled)
        self._order: tuple[str, ...] = tuple(getattr(compiled, "positiontup", None) or ())
        self._fixed = dict(compiled.params)

    def values(self, given: Row) -> list[Any]:
        """Parameters for the driver; what is not `given` is what the statement was written with."""
        fixed = self._fixed
        return [given[name] if name in given else fixed[name] for name in self._order]


class Rows(Statement):
    """An insert that takes many rows in one call."""

    __slots__ = ("_texts",)

    def __init__(self, clause: ClauseElement) -> None:
        super().__init__(clause)
        row = f"({', '.join('?' * len(self._order))})"
        # The same as SQLAlchemy's own "insertmanyvalues": the VALUES of one row, repeated.
        self._texts = {
            count: self.sql.replace(f"VALUES {row}", "VALUES " + ", ".join([row] * count), 1)
            for count in _powers_of_two()
        }

    def chunks(self, rows: Sequence[Row]) -> Iterator[tuple[str, list[Any]]]:
        """Statements and parameters; sizes are powers of two, so that SQLite prepares few."""
        start = 0
        while start < len(rows):
            count = min(MOST_ROWS, 1 << ((len(rows) - start).bit_length() - 1))
            values = [value for row in rows[start : start + count] for value in self.values(row)]
            yield self._texts[count], values
            start += count


@cache
def _powers_of_two() -> tuple[int, ...]:
    return tuple(1 << power for power in range(MOST_ROWS.bit_length()))


class Sql:
    """Runs compiled statements on one `sqlite3` connection; only inside that connection's thread."""

    __slots__ = ("raw",)

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw

    def all(self, statement: Statement, given: Row) -> list[Any]:
        """Every row."""
        return self.raw.execute(statement.sql, statement.values(given)).fetchall()

    def first(self, statement: Statement, given: Row) -> Any:
        """The first row or None."""
        rows = self.all(statement, given)
        return rows[0] if rows else None

    def change(self, statement: Statement, given: Row) -> int:
        """Run a write; returns the number of rows it touched."""
        return self.raw.execute(statement.sql, statement.values(given)).rowcount

    def insert(self, statement: Rows, rows: Sequence[Row]) -> None:
        """Insert (or upsert) all rows."""
        for sql, values in statement.chunks(rows):
            self.raw.execute(sql, values)

    def pragma(self, text: str) -> list[Any]:
        """Run a pragma; returns its rows."""
        return self.raw.execute(f"PRAGMA {text}").fetchall()

    def say(self, words: str) -> None:
        """Run words of a transaction: BEGIN, COMMIT, SAVEPOINT and so on."""
        self.raw.execute(words)
