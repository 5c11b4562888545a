"""What to do about errors of SQLite."""

from __future__ import annotations

import sqlite3

BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_DAMAGED = "The file is damaged: stop Jota and restore a backup, or move the file away."
_ADVICE = {
    sqlite3.SQLITE_FULL: "The disk is full: free some space.",
    sqlite3.SQLITE_BUSY: "Another program holds it: close that one.",
    sqlite3.SQLITE_LOCKED: "Another program holds it: close that one.",
    sqlite3.SQLITE_READONLY: "It may not be written: give this user the right to.",
    sqlite3.SQLITE_IOERR: "The disk fails or is full: look at the system's log.",
    **dict.fromkeys(BROKEN, _DAMAGED),
}


def code(error: BaseException) -> int:
    """SQLite's own number of an error, without its details."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF


def advice(error: Exception) -> str:
    """What to do."""
    return _ADVICE.get(code(error), "The host's log has the details.")
