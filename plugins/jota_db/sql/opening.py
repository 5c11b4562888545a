"""Opening the file: lock, tables, what a crash left behind, connections. Closing is registered on the way."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Awaitable, Callable

from jota_core.api import Code, NotReady

from ..files import StoreFile
from . import statements as s
from .connection import Connection, Readers
from .rows import now
from .schema import bring_up_to_date
from .statement import Sql

READERS = 2
BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
OnClose = Callable[[Callable[[], Awaitable[None]]], None]


class Opened:
    """An open file: a connection that writes, some that read, and what was found."""

    def __init__(self, file: StoreFile) -> None:
        self.file = file
        self.readers = Readers()
        self.writing: Connection
        self.last_seq = 0
        self.moved_aside = ""

    @classmethod
    async def open(cls, file: StoreFile, log: logging.Logger, on_close: OnClose) -> Opened:
        """Open `file`, made, migrated or moved aside as it needs. Raises `NotReady`, `SetupFailed`."""
        lock = await asyncio.to_thread(file.claim)
        on_close(lambda: asyncio.to_thread(os.close, lock))
        self = cls(file)
        try:
            await self._tables(log)
            self.writing = await Connection.opened(file.path)
            on_close(self.writing.close)
            on_close(self.readers.close)
            await self.readers.open(file.path, READERS)
            cut = await self.writing.run(_mark_cut_turns)
            self.last_seq = await self.writing.run(_last_seq)
        except sqlite3.Error as error:
            raise NotReady(f"The store {file.path} cannot be opened: {error}. {_advice(error)}") from error
        if cut:
            log.warning("%d answers were cut when the host stopped; they are marked%s.", cut, s.MARK)
        return self

    async def _tables(self, log: logging.Logger) -> None:
        await asyncio.to_thread(self.file.create)
        try:
            await asyncio.to_thread(bring_up_to_date, self.file.path)
        except Exception as error:
            if not is_broken(error):
                raise
            aside = await asyncio.to_thread(self.file.move_aside)
            self.moved_aside = f"The store was broken ({error}). It lies at {aside} now; a new one was begun."
            log.error("%s", self.moved_aside)
            await asyncio.to_thread(self.file.create)
            await asyncio.to_thread(bring_up_to_date, self.file.path)


def is_broken(error: BaseException) -> bool:
    """Whether the file itself is damaged."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF in BROKEN


def _advice(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "Close the program that holds it."
    if code == sqlite3.SQLITE_FULL:
        return "Free some space on its disk."
    return "Check that this user may write there and that the disk is well."


def _mark_cut_turns(sql: Sql) -> int:
    """Every turn that still runs was cut by a crash; its text so far is kept and marked, once."""
    sql.say("BEGIN IMMEDIATE")
    try:
        given = {"now": now(), "code": Code.SERVER_RESTART.value}
        sql.change(s.MARK_PARTIAL_ANSWERS, given)
        sql.change(s.ADD_MISSING_ANSWERS, given)
        cut = sql.change(s.END_CUT_TURNS, given)
        sql.say("COMMIT")
    except BaseException:
        if sql.raw.in_transaction:
            sql.say("ROLLBACK")
        raise
    return cut


def _last_seq(sql: Sql) -> int:
    return max(int(sql.first(last, {})[0]) for last in (s.LAST_TURN, s.LAST_ACTIVITY))
