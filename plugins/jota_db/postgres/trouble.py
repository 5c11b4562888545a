"""What to do about errors of PostgreSQL and of the way to it."""

from __future__ import annotations

import asyncpg

from .connection import LOST

_ADVICE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (asyncpg.DiskFullError, "Its disk is full: free some space."),
    (asyncpg.TooManyConnectionsError, "It has no connection left: raise its `max_connections`."),
    (asyncpg.ReadOnlySQLTransactionError, "It only reads now: name the primary server in `store:`."),
    (asyncpg.InsufficientPrivilegeError, "Its user may not do this: grant the rights on the database."),
    (LOST, "Look whether the server runs and can be reached; it is tried again and again."),
    (TimeoutError, "It did not answer in time; it is tried again."),
)
UNWELL = (*LOST, TimeoutError, asyncpg.InsufficientResourcesError, asyncpg.ReadOnlySQLTransactionError)


def advice(error: Exception) -> str | None:
    """What to do; None when the error is neither the server's nor the network's."""
    for kind, sentence in _ADVICE:
        if isinstance(error, kind):
            return sentence
    return "The server's log has the details." if isinstance(error, asyncpg.PostgresError) else None


def reason(error: Exception) -> str:
    """An error in a few words."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
