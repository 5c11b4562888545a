"""Connections to PostgreSQL: made when they are needed, and again after they were lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.util.concurrency import await_only, greenlet_spawn

from ..sql.connection import Connection
from ..sql.statement import Place, Row, Rows, Sql, Statement

T = TypeVar("T")
DIALECT = PGDialect_asyncpg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # untyped there
CONNECT_S = 5.0
COMMAND_S = 10.0
SERVER = {
    "application_name": "jota",
    "jit": "off",  # small queries only
    "tcp_keepalives_idle": "5",  # a host that lost its power gives up its locks soon
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
NEXT = "SELECT nextval('jota_numbers') FROM generate_series(1, $1)"
INDEX = (
    "INSERT INTO message_search (turn_seq, position, words) VALUES ($1, $2, array_to_tsvector($3::text[])) "
    "ON CONFLICT (turn_seq, position) DO UPDATE SET words = excluded.words"
)
SEARCH = (
    "SELECT turn_seq, position FROM message_search WHERE words @@ $1::text::tsquery "
    "ORDER BY turn_seq DESC, position DESC LIMIT $2"
)
LOST = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
)
"""After these a connection is not used again."""


async def connect(dsn: str) -> asyncpg.Connection[asyncpg.Record]:
    """One bare connection. Raises what asyncpg raises."""
    return await asyncpg.connect(
        dsn, timeout=CONNECT_S, command_timeout=COMMAND_S, server_settings=SERVER,
        statement_cache_size=256, max_cached_statement_lifetime=0,
    )  # fmt: skip


class PostgresSql(Sql):
    """Statements on one asyncpg connection; only inside a greenlet that SQLAlchemy spawned."""

    __slots__ = ("is_fresh", "raw")

    def __init__(self, raw: asyncpg.Connection[asyncpg.Record]) -> None:
        self.raw = raw
        self.is_fresh = True
        """Nothing has been done yet."""

    def all(self, statement: Statement, given: Row) -> list[Any]:
        """See `Sql`."""
        compiled = statement.on(DIALECT)
        found: list[Any] = self._done(self.raw.fetch(compiled.sql, *compiled.values(given)))
        return found

    def change(self, statement: Statement, given: Row) -> int:
        """See `Sql`."""
        compiled = statement.on(DIALECT)
        told: str = self._done(self.raw.execute(compiled.sql, *compiled.values(given)))
        return int(told.rpartition(" ")[2])

    def insert(self, statement: Rows, rows: Sequence[Row]) -> None:
        """See `Sql`: one batch, and one round trip."""
        if rows:
            compiled = statement.on(DIALECT)
            self._done(self.raw.executemany(compiled.sql, [compiled.values(row) for row in rows]))

    def say(self, words: str) -> None:
        """See `Sql`."""
        self._done(self.raw.execute("BEGIN" if words.startswith("BEGIN") else words))

    @property
    def in_transaction(self) -> bool:
        """See `Sql`."""
        return bool(self.raw.is_in_transaction())

    def numbers(self, count: int) -> list[int]:
        """See `Sql`; shared by all hosts."""
        return [row[0] for row in self._done(self.raw.fetch(NEXT, count))]

    def index(self, entries: Sequence[tuple[Place, Sequence[str]]]) -> None:
        """See `Sql`."""
        given = [(seq, position, list(words)) for (seq, position), words in entries]
        if given:
            self._done(self.raw.executemany(INDEX, given))

    def has_words(self) -> bool:
        """See `Sql`."""
        return bool(self.value("SELECT EXISTS (SELECT FROM message_search)"))

    def search(self, owner: str, words: Sequence[str], limit: int) -> list[Place]:
        """See `Sql`."""
        asked = " & ".join([f"'{owner}'", *(f"'{word}':*" for word in words)])
        return [(row[0], row[1]) for row in self._done(self.raw.fetch(SEARCH, asked, limit))]

    def count_on(self, number: int, conversation: int) -> None:
        """See `Sql`."""
        self.value("SELECT setval('jota_numbers', $1)", max(number, 1))
        self.value("SELECT setval(pg_get_serial_sequence('conversations', 'id'), $1)", max(conversation, 1))

    def value(self, words: str, *given: object) -> Any:
        """The first value that plain SQL of PostgreSQL's own finds."""
        return self._done(self.raw.fetchval(words, *given))

    def _done(self, asked: Awaitable[Any]) -> Any:
        found = await_only(asked)
        self.is_fresh = False
        return found


class PostgresConnection(Connection):
    """One connection. What is under way when it breaks fails; the next work gets a new one."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._raw: asyncpg.Connection[asyncpg.Record] | None = None

    async def run(self, work: Callable[[Sql], T]) -> T:
        """See `Connection`."""
        if self._raw is not None and not self._raw.is_closed():
            sql = PostgresSql(self._raw)
            try:
                return await self._run(work, sql)
            except LOST:
                if not sql.is_fresh:
                    raise
        self._raw = await connect(self._dsn)  # the old one was lost while it was idle
        return await self._run(work, PostgresSql(self._raw))

    async def _run(self, work: Callable[[Sql], T], sql: PostgresSql) -> T:
        try:
            return await greenlet_spawn(work, sql)
        except (*LOST, TimeoutError):
            self._drop()
            raise
        finally:
            if self._raw is not None and self._raw.is_in_transaction():
                self._drop()  # nobody knows what of it is done

    async def close(self) -> None:
        """See `Connection`."""
        raw, self._raw = self._raw, None
        if raw is not None and not raw.is_closed():
            try:
                await raw.close(timeout=CONNECT_S)
            except (*LOST, TimeoutError):
                raw.terminate()

    def _drop(self) -> None:
        if self._raw is not None:
            self._raw.terminate()
            self._raw = None
