"""Brings a file's tables to this version; imports Alembic only when there is something to migrate."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import create_engine

from jota_core.api import SetupFailed

from .tables import metadata

REVISIONS = ("0001",)
"""Every revision that this version knows, oldest first; the last one is what `tables` describes."""
QUICK_CHECK_BYTES = 16 * 1024 * 1024
"""Files up to this size are checked whole at each start; a larger one would delay it."""


def bring_up_to_date(path: Path) -> None:
    """Create or migrate the tables. Blocks; the caller holds the store's lock.

    Raises `SetupFailed` for a file that is newer or not ours, `sqlite3.Error` for one that is broken.
    """
    tables, revision = _look(path)
    if not tables:
        _create(path)
    elif revision is None:
        raise SetupFailed(
            f"{path} is an SQLite file, but not a store of Jota. Name another file with `store:`."
        )
    elif revision not in REVISIONS:
        raise SetupFailed(
            f"The store {path} was written by a newer Jota (revision {revision}; this one knows up to "
            f"{REVISIONS[-1]}). Start the newer version again, or name another file with `store:`."
        )
    elif revision != REVISIONS[-1]:
        migrate(path)


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


def _create(path: Path) -> None:
    """An empty file gets today's tables at once; a test holds them equal to what the migrations make."""
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            metadata.create_all(connection)
            connection.exec_driver_sql(
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
                "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
            )
            connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (REVISIONS[-1],))
    finally:
        engine.dispose()


def migrate(path: Path, revision: str = "head") -> None:
    """Run the migrations that lie in `migrations/`, up to `revision`. Blocks."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    config.attributes["path"] = path
    command.upgrade(config, revision)
