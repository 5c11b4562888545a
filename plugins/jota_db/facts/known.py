"""Facts of clients as turns need them, remembered for a moment."""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic
from typing import TYPE_CHECKING, Any

from .meaning import NEAR, Meaning

if TYPE_CHECKING:
    from ..sql.store import SqlStore

KNOWN_S = 30.0
"""What another process adds (`jota memory add`) is known after so many seconds."""
MOST_CLIENTS = 1000
MOST_FACTS = 5
"""Of one turn."""


class KnownFacts:
    """Active facts by client."""

    def __init__(self, meaning: Meaning | None = None) -> None:
        self.meaning = meaning
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
        if not facts:
            return []
        found = [fact["text"] for fact in ledger.relevant(facts, text, MOST_FACTS)]
        return await self._also_meant(found, facts, text)

    async def _also_meant(self, found: list[str], facts: list[dict[str, Any]], text: str) -> list[str]:
        """What shares words first, then what is near in meaning, nearest first."""
        if self.meaning is None:
            return found
        texts = [fact["text"] for fact in facts if fact["text"] not in found]
        near = await self.meaning.near(text, texts)
        meant = sorted((-close, other) for close, other in zip(near, texts, strict=True) if close >= NEAR)
        return [*found, *(other for _, other in meant)][:MOST_FACTS]

    def forget(self, client: str) -> None:
        """They were changed here."""
        self._known.pop(client, None)
