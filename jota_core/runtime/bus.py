"""The bus: facts for observers. Nothing in the product depends on one being delivered."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from jota_core.api import Event

log = logging.getLogger(__name__)


class Subscription:
    """One observer with its own bounded queue; when it is full the oldest are dropped and counted."""

    def __init__(self, kind: type[Any], observer: Callable[[Any], None], size: int) -> None:
        self.kind = kind
        self.dropped = 0
        self._observer = observer
        self._waiting: deque[Event] = deque(maxlen=size)

    def offer(self, event: Event) -> None:
        """Queue one event; it is delivered in the next pass of the loop."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._deliver)
        elif len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(event)

    def _deliver(self) -> None:
        waiting = list(self._waiting)
        self._waiting.clear()
        for event in waiting:
            try:
                self._observer(event)
            except Exception:
                log.exception("An observer of %s failed; it will be told the next one.", type(event).__name__)


class Bus:
    """Publish returns at once; each observer runs on the loop, isolated from the others."""

    def __init__(self, size: int = 1000) -> None:
        self._size = size
        self._subscriptions: dict[type[Any], list[Subscription]] = {}

    def publish(self, event: Event) -> None:
        """Tell everyone who subscribed to this kind of event."""
        for subscription in self._subscriptions.get(type(event), ()):
            subscription.offer(event)

    def subscribe(self, kind: type[Any], observer: Callable[[Any], None]) -> Callable[[], None]:
        """Hear events of one kind; returns the function that ends it."""
        subscription = Subscription(kind, observer, self._size)
        self._subscriptions.setdefault(kind, []).append(subscription)

        def unsubscribe() -> None:
            subscriptions = self._subscriptions.get(kind, [])
            if subscription in subscriptions:
                subscriptions.remove(subscription)

        return unsubscribe
