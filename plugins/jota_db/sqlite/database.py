"""Opening the file: lock, tables, what a crash left behind, connections. Closing is registered on the way."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from functools import partial

from jota_core.api import NotReady

from ..sql import statements as s
from ..sql.connection import Readers
from ..sql.copying import highest_numbers
from ..sql.cut import mark_cut_turns
from ..sql.database import Database, OnClose
from ..sql.searching import fill_once
from ..sql.statement import Sql
from . import trouble
from .connection import SqliteConnection
from .files import StoreFile
from .schema import bring_up_to_date

READERS = 2
TOGETHER = 32
"""Queries of one way to a thread and back, at most."""


class SqliteDatabase(Database):
    """One file, and this process its only host."""

    writing: SqliteConnection

    def __init__(self, file: StoreFile) -> None:
        self.name = str(file.path)
        self.readers = Readers(TOGETHER)
        self._file = file

    @classmethod
    async def opened(cls, file: StoreFile, log: logging.Logger, on_close: OnClose) -> SqliteDatabase:
        """Open `file`, made, migrated or moved aside as it needs. Raises `NotReady`, `SetupFailed`."""
        lock = await asyncio.to_thread(file.claim)
        on_close(lambda: asyncio.to_thread(os.close, lock))
        self = cls(file)
        try:
            await self._tables(log)
            await self._connect(on_close)
            await self.writing.run(fill_once)
            cut = await self.writing.run(partial(mark_cut_turns, host=self.host))
            self.writing.sql.count_on(*await self.writing.run(highest_numbers))
        except sqlite3.Error as error:
            advice = trouble.advice(error)
            raise NotReady(f"The store {file.path} cannot be opened: {error}. {advice}") from error
        if cut:
            log.warning("%d answers were cut when the host stopped; they are marked%s.", cut, s.MARK)
        return self

    def advice(self, error: Exception) -> str | None:
        """See `Database`."""
        return trouble.advice(error) if isinstance(error, sqlite3.Error) else None

    def is_conflict(self, error: Exception) -> bool:
        """See `Database`."""
        return isinstance(error, sqlite3.IntegrityError)

    def is_trouble(self, error: Exception) -> bool:
        """See `Database`."""
        return isinstance(error, sqlite3.OperationalError)

    async def size(self) -> int:
        """See `Database`."""
        return await asyncio.to_thread(self._file.size)

    async def deleted(self) -> None:
        """See `Database`: deleted text stays in the write-ahead log until that is emptied."""
        await self.writing.run(_forget_words)
        await self.writing.pragmas("wal_checkpoint(TRUNCATE)")

    async def _connect(self, on_close: OnClose) -> None:
        self.writing = await SqliteConnection.opened(self._file.path)
        on_close(self.writing.close)
        on_close(self.readers.close)
        for _ in range(READERS):
            self.readers.add(await SqliteConnection.opened(self._file.path, read_only=True))

    async def _tables(self, log: logging.Logger) -> None:
        await asyncio.to_thread(self._file.create)
        try:
            await asyncio.to_thread(bring_up_to_date, self._file.path)
        except Exception as error:
            if trouble.code(error) not in trouble.BROKEN:
                raise
            aside = await asyncio.to_thread(self._file.move_aside)
            self.warning = f"The store was broken ({error}). It lies at {aside} now; a new one was begun."
            log.error("%s", self.warning)
            await asyncio.to_thread(self._file.create)
            await asyncio.to_thread(bring_up_to_date, self._file.path)


def _forget_words(sql: Sql) -> None:
    """FTS5 keeps deleted words until its parts are merged."""
    sql.say("INSERT INTO message_search (message_search) VALUES ('optimize')")
