"""Live conversations: what all sessions of one conversation share while somebody uses it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from jota_core.api import Conversation


class LiveConversation:
    """One turn at a time, the model in use, and where the prompt's history begins."""

    def __init__(self, conversation: Conversation) -> None:
        self.id = conversation.id
        self.owner = conversation.owner
        self.model_id = conversation.model_id
        self.turn_lock = asyncio.Lock()
        """Fair: turns of all sessions run in the order they were asked for."""
        self.window_start: str | None = None
        """Id of the oldest message in the prompt; kept from turn to turn so that its prefix stays warm."""


class LiveConversations:
    """Finds the live conversation for an id; the least used are forgotten beyond `size`."""

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._live: OrderedDict[int, LiveConversation] = OrderedDict()

    def attach(self, conversation: Conversation) -> LiveConversation:
        """The shared object for a stored conversation."""
        live = self._live.get(conversation.id)
        if live is None or live.owner != conversation.owner:
            live = self._live[conversation.id] = LiveConversation(conversation)
        self._live.move_to_end(conversation.id)
        self._shrink()
        return live

    def _shrink(self) -> None:
        idle = len(self._live) - self._size
        for key in [key for key, live in self._live.items() if not live.turn_lock.locked()][: max(idle, 0)]:
            del self._live[key]
