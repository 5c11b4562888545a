"""SQLAlchemy Core statements, compiled once for each database, and the thin hand that runs them.

A hop to a thread costs more than a statement, and every call of `sqlite3` gives the interpreter lock
away, which a busy event loop returns only after its switch interval. So a unit of work is a plain
function over `Sql` that runs in one go: in a thread on SQLite, in a greenlet on PostgreSQL.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.sql.expression import ClauseElement

MOST_ROWS = 64
Row = Mapping[str, Any]
Place = tuple[int, int]
"""Of a message: the number of its turn, and its position there."""


class Compiled:
    """A statement's text for one database; `values` puts named parameters in the order of its marks."""

    __slots__ = ("_fixed", "_order", "sql")

    def __init__(self, clause: ClauseElement, dialect: Dialect) -> None:
        compiled = clause.compile(dialect=dialect)
        self.sql = str(compiled)
        self._order: tuple[str, ...] = tuple(getattr(compiled, "positiontup", None) or ())
        self._fixed = dict(compiled.params)

    def values(self, given: Row) -> list[Any]:
        """Parameters for the driver; what is not `given` is what the statement was written with."""
        fixed = self._fixed
        return [given[name] if name in given else fixed[name] for name in self._order]

    @property
    def width(self) -> int:
        """How many parameters it takes."""
        return len(self._order)


class Statement:
    """One statement, compiled when it is first used."""

    __slots__ = ("_clause", "_compiled")

    def __init__(self, clause: ClauseElement) -> None:
        self._clause = clause
        self._compiled: dict[str, Compiled] = {}

    def on(self, dialect: Dialect) -> Compiled:
        """Its text for a database."""
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = Compiled(self._clause, dialect)
        return found


class Rows(Statement):
    """An insert that takes many rows in one call."""

    __slots__ = ("_texts",)

    def __init__(self, clause: ClauseElement) -> None:
        super().__init__(clause)
        self._texts: dict[int, str] = {}

    def chunks(self, dialect: Dialect, rows: Sequence[Row]) -> Iterator[tuple[str, list[Any]]]:
        """Statements and parameters; sizes are powers of two, so that SQLite prepares few."""
        compiled, start = self.on(dialect), 0
        while start < len(rows):
            count = min(MOST_ROWS, 1 << ((len(rows) - start).bit_length() - 1))
            values = [value for row in rows[start : start + count] for value in compiled.values(row)]
            yield self._text(compiled, count), values
            start += count

    def _text(self, compiled: Compiled, count: int) -> str:
        if count not in self._texts:
            row = f"({', '.join('?' * compiled.width)})"
            # The same as SQLAlchemy's own "insertmanyvalues": the VALUES of one row, repeated.
            self._texts[count] = compiled.sql.replace(
                f"VALUES {row}", "VALUES " + ", ".join([row] * count), 1
            )
        return self._texts[count]


class Sql(ABC):
    """Runs statements on one connection; only inside that connection's `run`."""

    __slots__ = ()

    @abstractmethod
    def all(self, statement: Statement, given: Row) -> list[Any]:
        """Every row."""

    def first(self, statement: Statement, given: Row) -> Any:
        """The first row or None."""
        rows = self.all(statement, given)
        return rows[0] if rows else None

    @abstractmethod
    def change(self, statement: Statement, given: Row) -> int:
        """Run a write; returns the number of rows it touched."""

    @abstractmethod
    def insert(self, statement: Rows, rows: Sequence[Row]) -> None:
        """Insert (or upsert) all rows."""

    @abstractmethod
    def say(self, words: str) -> None:
        """Run words of a transaction: BEGIN, COMMIT, SAVEPOINT and so on."""

    @property
    @abstractmethod
    def in_transaction(self) -> bool:
        """Whether one was begun and not ended, by us or by an error."""

    @abstractmethod
    def index(self, entries: Sequence[tuple[Place, Sequence[str]]]) -> None:
        """Make messages searchable by these words, in the place of any before."""

    @abstractmethod
    def has_words(self) -> bool:
        """Whether anything is searchable."""

    @abstractmethod
    def search(self, owner: str, words: Sequence[str], limit: int) -> list[Place]:
        """Newest places whose words include `owner` and, for each of `words`, one that begins so."""

    @abstractmethod
    def numbers(self, count: int) -> list[int]:
        """The next numbers of the one counter of turns and activity; each higher than any before."""

    @abstractmethod
    def count_on(self, number: int, conversation: int) -> None:
        """The highest numbers in use, of the counter and of conversations."""
