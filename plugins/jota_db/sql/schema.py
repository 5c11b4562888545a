"""The tables' revisions, and Alembic, which is imported only when there is something to migrate."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from jota_core.api import SetupFailed

from . import agenda, fact_table, people, record_table, shared  # noqa: F401 - each adds its tables
from .search_table import make_search
from .tables import metadata

TABLES = metadata
"""All of them: the imports above have added theirs."""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every revision that this version knows, oldest first; the last one is what `tables` describes."""


def bring_up_to_date(connection: Connection, name: str, tables: set[str], revision: str | None) -> None:
    """Create or migrate the tables. Blocks; the caller holds a lock and a transaction.

    Raises `SetupFailed` for a database that is newer or not ours.
    """
    if not tables:
        _create(connection)
    elif revision is None:
        raise SetupFailed(f"{name} is a database, but not a store of Jota. Name another one with `store:`.")
    elif revision not in REVISIONS:
        raise SetupFailed(
            f"The store {name} was written by a newer Jota (revision {revision}; this one knows up to "
            f"{REVISIONS[-1]}). Start the newer version again, or name another store with `store:`."
        )
    elif revision != REVISIONS[-1]:
        migrate(connection)


def _create(connection: Connection) -> None:
    """An empty database gets today's tables at once; a test holds them equal to what the migrations make."""
    TABLES.create_all(connection)
    make_search(connection)
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:last)"), {"last": REVISIONS[-1]})


def migrate(connection: Connection, revision: str = "head") -> None:
    """Run the migrations that lie in `migrations/`, up to `revision`. Blocks."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
