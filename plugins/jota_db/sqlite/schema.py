"""Looks at a file, checks it, and brings its tables to this version."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

from ..sql import schema

QUICK_CHECK_BYTES = 16 * 1024 * 1024
"""Files up to this size are checked whole at each start; a larger one would delay it."""


def bring_up_to_date(path: Path) -> None:
    """Create or migrate the tables. Blocks; the caller holds the store's lock.

    Raises `SetupFailed` for a file that is newer or not ours, `sqlite3.Error` for one that is broken.
    """
    tables, revision = _look(path)
    if revision == schema.REVISIONS[-1]:
        return
    with changing(path) as connection:
        schema.bring_up_to_date(connection, str(path), tables, revision)


@contextmanager
def changing(path: Path) -> Iterator[Connection]:
    """A connection in one transaction, which holds the changes of tables too."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    event.listen(engine, "connect", _no_implicit_transactions)
    event.listen(engine, "begin", _begin)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _no_implicit_transactions(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # else the driver commits before each change of a table


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _look(path: Path) -> tuple[set[str], str | None]:
    connection = sqlite3.connect(path, timeout=2.0, isolation_level=None)
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if path.stat().st_size <= QUICK_CHECK_BYTES:
            _check(connection)
        if "alembic_version" not in tables:
            return tables, None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return tables, row[0] if row else None
    finally:
        connection.close()


def _check(connection: sqlite3.Connection) -> None:
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        error = sqlite3.DatabaseError(str(verdict))
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
