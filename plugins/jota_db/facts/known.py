"""Facts of clients as turns need them, remembered for a moment."""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..sql.store import SqlStore

KNOWN_S = 30.0
"""What another process adds (`jota memory add`) is known after so many seconds."""
MOST_CLIENTS = 1000
MOST_FACTS = 5
"""Of one turn."""


class KnownFacts:
    """Active facts by client."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, list[dict[str, Any]]]] = OrderedDict()

    async def relevant(self, store: SqlStore, client: str, text: str) -> list[str]:
        """What a text reminds of. Raises `MemoryStoreError`."""
        from . import ledger

        until, facts = self._known.get(client, (0.0, []))
        if until < monotonic():
            facts = await store.read(lambda sql: ledger.active(sql, client))
            self._known[client] = (monotonic() + KNOWN_S, facts)
            self._known.move_to_end(client)
            if len(self._known) > MOST_CLIENTS:
                self._known.popitem(last=False)
        return [fact["text"] for fact in ledger.relevant(facts, text, MOST_FACTS)] if facts else []

    def forget(self, client: str) -> None:
        """They were changed here."""
        self._known.pop(client, None)
