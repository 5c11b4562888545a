"""Tells hosts that live from hosts that are gone: each holds a lock, which dies with its connection."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from ..sql import statements as s
from ..sql.cut import mark_cut_turns
from ..sql.statement import Sql
from .connection import LOST, PostgresConnection, PostgresSql

SPACE = 0x4A6F7461
"""First half of our advisory locks' keys, so that they meet nobody else's in the database."""
LOOK_S = 2.0
HOLDS_A_LOCK = "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')"


class Presence:
    """This host's number and lock; and the ends of what other hosts left behind."""

    def __init__(self, dsn: str, log: logging.Logger) -> None:
        self.host = 0
        self._connection = PostgresConnection(dsn)
        self._log = log

    async def begin(self) -> None:
        """Take a number and hold it. Raises what asyncpg raises."""
        self.host = await self._connection.run(_new_number)
        await self._look()

    async def tend(self) -> None:
        """Hold the number, and mark what others left; runs until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look()
            except (*LOST, TimeoutError) as error:
                self._log.debug("The database cannot be asked for lost hosts: %s", error)

    async def close(self) -> None:
        """Let go of the number."""
        await self._connection.close()

    async def _look(self) -> None:
        for host in await self._connection.run(partial(_running_hosts, mine=self.host)):
            cut = await self._connection.run(partial(_end_turns, host=host))
            if cut:
                self._log.warning(
                    "%d answers were cut when host %d was lost; they are marked%s.", cut, host, s.MARK
                )


def _new_number(sql: Sql) -> int:
    assert isinstance(sql, PostgresSql)
    return int(sql.value("SELECT nextval('jota_hosts')"))


def _running_hosts(sql: Sql, *, mine: int) -> list[int]:
    """Others with turns that run; on the way our own lock is taken, anew after the connection was lost."""
    assert isinstance(sql, PostgresSql)
    if not sql.value(HOLDS_A_LOCK):
        sql.value("SELECT pg_try_advisory_lock($1, $2)", SPACE, mine)
    return [row[0] for row in sql.all(s.RUNNING_HOSTS, {}) if row[0] not in (0, mine) and row[0] > 0]


def _end_turns(sql: Sql, *, host: int) -> int:
    """Nothing when that host lives."""
    assert isinstance(sql, PostgresSql)
    if not sql.value("SELECT pg_try_advisory_lock($1, $2)", SPACE, host):
        return 0
    try:
        return mark_cut_turns(sql, host=host)
    finally:
        sql.value("SELECT pg_advisory_unlock($1, $2)", SPACE, host)
