"""What a turn has to know of a client's configuration, remembered for a moment."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..sql.store import SqlStore

KNOWN_S = 30.0
"""A change made by another host is honoured after so many seconds."""
MOST = 4096


@dataclass(frozen=True, slots=True)
class Preferences:
    """The usual, unless the client has a configuration of its own."""

    memory_limit: int | None = None
    """Messages of the conversation that the model is shown at most."""
    system_prompt_extra: str | None = None


class KnownPreferences:
    """By client."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, Preferences]] = OrderedDict()

    async def of(self, store: SqlStore, client: str) -> Preferences:
        """One client's. Raises `MemoryStoreError`."""
        until, preferences = self._known.get(client, (0.0, Preferences()))
        if until < monotonic():
            preferences = await _asked(store, client)
            self._known[client] = (monotonic() + KNOWN_S, preferences)
            self._known.move_to_end(client)
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        return preferences

    def forget(self, client: str) -> None:
        """It was changed here."""
        self._known.pop(client, None)


async def _asked(store: SqlStore, client: str) -> Preferences:
    from .configs import config_of

    config = await store.read(lambda sql: config_of(sql, client))
    if config is None:
        return Preferences()
    return Preferences(config["conversation_memory_limit"], config["system_prompt_extra"])
