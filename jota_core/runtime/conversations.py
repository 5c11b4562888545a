"""Live conversations: what all sessions of one conversation share while somebody uses it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from weakref import WeakValueDictionary

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
    """Finds the live conversation for an id: one in use is always the same one."""

    def __init__(self, recent: int = 4096) -> None:
        self._most = recent
        self._live: WeakValueDictionary[int, LiveConversation] = WeakValueDictionary()
        self._recent: OrderedDict[int, LiveConversation] = OrderedDict()
        """Those used last are remembered when nobody holds them, for the next request of a REST client."""

    def attach(self, conversation: Conversation) -> LiveConversation:
        """The shared object for a stored conversation; whoever uses it holds it."""
        live = self._live.get(conversation.id)
        if live is None or live.owner != conversation.owner:
            live = self._live[conversation.id] = LiveConversation(conversation)
        self._recent[conversation.id] = live
        self._recent.move_to_end(conversation.id)
        if len(self._recent) > self._most:
            self._recent.popitem(last=False)
        return live
