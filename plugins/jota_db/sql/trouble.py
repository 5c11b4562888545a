"""Errors of the driver as sentences."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jota_core.api import Code, MemoryStoreError

RETRY_S = 2.0
_ADVICE = {
    sqlite3.SQLITE_FULL: "The disk is full: free some space.",
    sqlite3.SQLITE_BUSY: "Another program holds it: close that one.",
    sqlite3.SQLITE_READONLY: "It may not be written: give this user the right to.",
    sqlite3.SQLITE_IOERR: "The disk fails or is full: look at the system's log.",
    sqlite3.SQLITE_CORRUPT: "The file is damaged: stop Jota and restore a backup, or move the file away.",
    sqlite3.SQLITE_NOTADB: "The file is damaged: stop Jota and restore a backup, or move the file away.",
}


def sentence(path: Path, error: Exception) -> str:
    """What is wrong with the store at `path`, and what to do."""
    advice = _ADVICE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "The host's log has the details.")
    return f"The store {path} does not work: {error}. {advice}"


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the driver raises into `MemoryStoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise MemoryStoreError(Code.MEMORY_UNAVAILABLE, sentence(path, error), RETRY_S) from error
    except UnicodeEncodeError as error:
        raise MemoryStoreError(
            Code.INVALID_REQUEST, "The text is not valid Unicode: it has half of a surrogate pair."
        ) from error
    except OverflowError as error:
        raise MemoryStoreError(Code.NOT_FOUND, "There is no conversation with such a number.") from error
