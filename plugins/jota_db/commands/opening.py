"""Stores that a command opens by itself, without a host."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ..sql.statement import Sql
from ..urls import StoreUrl

Settle = Callable[[int, int], None]


def data_folder(given: Path | None) -> Path:
    """The folder that `jota run` uses here: `--data`, else `JOTA_DATA`, else `./data`."""
    return (given or Path(os.environ.get("JOTA_DATA") or "data")).absolute()


@asynccontextmanager
async def opened(url: StoreUrl, data: Path, *, alone: bool = False) -> AsyncIterator[Sql]:
    """Its tables brought up to date; `alone` keeps hosts from using a file meanwhile.

    Only for one thing at a time, inside `greenlet_spawn`. Raises what opening raises.
    """
    way = _file(url.path(data), alone) if url.is_file else _server(url)
    async with way as sql:
        yield sql


@asynccontextmanager
async def _file(path: Path, alone: bool) -> AsyncIterator[Sql]:
    from ..sqlite.connection import SqliteSql
    from ..sqlite.files import StoreFile
    from ..sqlite.schema import bring_up_to_date

    file = StoreFile(path)
    lock = file.claim() if alone else None
    try:
        file.create()
        bring_up_to_date(path)
        raw = sqlite3.connect(path, timeout=5, isolation_level=None)
        raw.execute("PRAGMA foreign_keys = on")
        raw.execute("PRAGMA synchronous = full")
        try:
            yield SqliteSql(raw)
        finally:
            raw.close()
    finally:
        if lock is not None:
            os.close(lock)


@asynccontextmanager
async def _server(url: StoreUrl) -> AsyncIterator[Sql]:
    from ..postgres.connection import PostgresSql, connect
    from ..postgres.database import bring_up_to_date

    raw = await connect(url.dsn)
    try:
        await bring_up_to_date(url)
        yield PostgresSql(raw)
    finally:
        await raw.close()
