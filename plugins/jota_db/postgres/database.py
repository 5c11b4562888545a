"""Connecting to PostgreSQL: tables, this host's place among others, connections."""

from __future__ import annotations

import logging

import asyncpg
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from jota_core.api import AuthFailed, NotReady, SetupFailed

from ..sql import schema
from ..sql.connection import Readers
from ..sql.database import Database, OnClose
from ..sql.searching import fill_once
from ..sql.statement import Sql
from ..urls import StoreUrl
from . import trouble
from .connection import CONNECT_S, LOST, SERVER, PostgresConnection, PostgresSql, connect
from .presence import SPACE, Presence

READERS = 6
MIGRATING = 0
"""Second half of the lock's key; hosts have numbers from 1."""
WRONG_USER = (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)


class PostgresDatabase(Database):
    """A database that this host shares with others. Each connection is made again when it was lost."""

    is_shared = True

    def __init__(self, url: StoreUrl, log: logging.Logger) -> None:
        self.name = str(url)
        self.writing = PostgresConnection(url.dsn)
        self.readers = Readers(together=1)
        self._presence = Presence(url.dsn, log)
        self._dsn = url.dsn

    @classmethod
    async def opened(cls, url: StoreUrl, log: logging.Logger, on_close: OnClose) -> PostgresDatabase:
        """Connect. Raises `NotReady`, `AuthFailed`, `SetupFailed`."""
        self = cls(url, log)
        try:
            await (await connect(url.dsn)).close()  # says what is wrong before SQLAlchemy wraps it up
            await bring_up_to_date(url)
            on_close(self._presence.close)
            await self._presence.begin()
            self.host = self._presence.host
        except WRONG_USER as error:
            raise AuthFailed(
                f"{url} does not accept this user and password: {error}. Look at `store:`."
            ) from error
        except asyncpg.InvalidCatalogNameError as error:
            raise SetupFailed(f"{url} has no such database. Make it first: createdb jota.") from error
        except (*LOST, TimeoutError, asyncpg.PostgresError) as error:
            why = trouble.reason(error)
            raise NotReady(f"{url} cannot be used: {why}. {trouble.advice(error)}") from error
        on_close(self.writing.close)
        await self.writing.run(fill_once)
        on_close(self.readers.close)
        for _ in range(READERS):
            self.readers.add(PostgresConnection(url.dsn))
        return self

    def advice(self, error: Exception) -> str | None:
        """See `Database`."""
        return trouble.advice(error)

    def is_conflict(self, error: Exception) -> bool:
        """See `Database`."""
        return isinstance(error, asyncpg.IntegrityConstraintViolationError)

    def is_trouble(self, error: Exception) -> bool:
        """See `Database`."""
        return isinstance(error, trouble.UNWELL)

    async def size(self) -> int:
        """See `Database`."""
        return await self.readers.run(_size)

    async def tend(self) -> None:
        """See `Database`."""
        await self._presence.tend()


def _size(sql: Sql) -> int:
    assert isinstance(sql, PostgresSql)
    return int(sql.value("SELECT pg_database_size(current_database())"))


async def bring_up_to_date(url: StoreUrl) -> None:
    """Create or migrate the tables, while no other host does. Raises `SetupFailed`."""
    engine = create_async_engine(
        f"postgresql+asyncpg://{url.dsn.partition('://')[2]}",
        poolclass=NullPool,
        connect_args={"timeout": CONNECT_S, "server_settings": SERVER},
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_look, str(url))
    finally:
        await engine.dispose()


def _look(connection: Connection, name: str) -> None:
    lock = text("SELECT pg_advisory_xact_lock(:space, :migrating)")
    connection.execute(lock, {"space": SPACE, "migrating": MIGRATING})
    tables = set(inspect(connection).get_table_names())
    revision = None
    if "alembic_version" in tables:
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if revision != schema.REVISIONS[-1]:
        schema.bring_up_to_date(connection, name, tables, revision)
