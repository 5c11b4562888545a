"""Ends of turns that wait for the database, which could not take them or not tell whether it has the turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from jota_core.api import Code, MemoryStoreError, Outcome, TurnRecord, TurnResult

from . import statements as s
from .statement import Sql
from .work import Finish

MOST = 1000
NEVER_BEGUN = TurnResult(Outcome.INTERRUPTED, "", error_code=Code.MEMORY_UNAVAILABLE)
"""Of a turn that may be on the disk although its caller was told that it is not."""
WriteEnd = Callable[[TurnRecord, TurnResult], Awaitable[None]]


class Owed:
    """At most one end of each turn."""

    def __init__(self) -> None:
        self._ends: dict[str, tuple[TurnRecord, TurnResult]] = {}

    def keep(self, error: MemoryStoreError, record: TurnRecord, result: TurnResult) -> None:
        """Try again later, when that may help; a real end is not replaced by that of an attempt to begin."""
        known = result is NEVER_BEGUN and record.turn_id in self._ends
        if error.code is Code.MEMORY_UNAVAILABLE and len(self._ends) < MOST and not known:
            self._ends[record.turn_id] = record, result

    def attempt(self, fresh: TurnRecord) -> TurnRecord:
        """An earlier attempt to begin the same turn, which is no longer owed its end; else the `fresh` one.

        With the ids of that attempt the turn is not taken for somebody else's if it is on the disk.
        """
        record, result = self._ends.get(fresh.turn_id, (fresh, None))
        if result is not NEVER_BEGUN or _place(record) != _place(fresh):
            return fresh
        del self._ends[fresh.turn_id]
        return record

    async def settle(self, write: WriteEnd) -> None:
        """Write them all. Raises `MemoryStoreError` when the database still cannot take them."""
        for turn_id in list(self._ends):
            end = self._ends.pop(turn_id, None)
            if end is None:
                continue  # begun again meanwhile
            try:
                await write(*end)
            except MemoryStoreError as error:
                self.keep(error, *end)
                if error.code is Code.MEMORY_UNAVAILABLE:
                    raise


def end_attempt(sql: Sql, work: Finish) -> bool:
    """End a turn that may have begun; not one with the same id that another host has begun since."""
    found = sql.first(s.TURN, {"turn_id": work.turn["id"]})
    return found is not None and found[4] == work.turn["answer_id"] and bool(work.alone(sql))


def _place(record: TurnRecord) -> tuple[int, str]:
    return record.conversation_id, record.owner
