"""What was seen on the LAN, told once it has settled, and not again for every flicker."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from jota_core.api import ServiceRecord

SETTLE_S = 1.0
"""A record is told once it has been the same for so long."""
CALM_S = 10.0
"""What comes back again and again is told once in this time."""
MOST = 1000
"""Records that are kept; on a LAN with more, somebody makes noise."""

Key = tuple[str, str, str]
"""Type, id and name of the announcement."""
Lost = Callable[[ServiceRecord], Awaitable[None]]
log = logging.getLogger(__name__)


class Found(Protocol):
    """Told that something is there."""

    def __call__(self, record: ServiceRecord, *, is_news: bool) -> Awaitable[None]:
        """`is_news` unless only its load has changed."""


@dataclass(slots=True)
class Entry:
    """One announcement: what is seen now, and what the sections were told."""

    seen: ServiceRecord | None = None
    told: ServiceRecord | None = None
    told_at: float = -CALM_S
    timer: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        """Do not tell what was going to be told."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Sightings:
    """Takes what discovery sees (`seen`, `gone`) and tells states, not every step between them."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        """Records that were not taken, by reason."""
        self._entries: dict[Key, Entry] = {}
        self._due: dict[Key, None] = {}
        self._wake = asyncio.Event()

    @property
    def known(self) -> tuple[ServiceRecord, ...]:
        """What the sections were told of and is there still."""
        return tuple(entry.told for entry in self._entries.values() if entry.told)

    def seen(self, record: ServiceRecord) -> None:
        """It is there, or has changed."""
        key = (record.kind, record.id, record.name)
        if key not in self._entries and len(self._entries) >= MOST:
            self.dropped["too many"] += 1
            return
        entry = self._entries.setdefault(key, Entry())
        was, entry.seen = entry.seen, record
        if entry.told is not None and record.differs_in_load_only(entry.told):
            self._at_once(key, entry)
        elif was is None or entry.timer is None or not record.differs_in_load_only(was):
            self._settle(key, entry)

    def gone(self, key: Key) -> None:
        """It said goodbye, or its time is over: told at once, if anybody was told of it."""
        entry = self._entries.get(key)
        if entry is None:
            return
        entry.seen = None
        self._at_once(key, entry)

    async def tell(self, found: Found, lost: Lost) -> None:
        """Pass on what is due, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._due:
                key = next(iter(self._due))
                del self._due[key]
                if entry := self._entries.get(key):
                    await self._tell_one(key, entry, found, lost)

    def close(self) -> None:
        """No timer runs any more."""
        for entry in self._entries.values():
            entry.stop()

    async def _tell_one(self, key: Key, entry: Entry, found: Found, lost: Lost) -> None:
        was, now = entry.told, entry.seen
        entry.told = now
        if now is not None:
            if was is None:
                entry.told_at = _now()
                log.info("Found %s at %s:%d (%s).", now.kind, now.host, now.port, now.id)
            await found(now, is_news=was is None or not now.differs_in_load_only(was))
        elif was is not None:
            await lost(was)
            log.info("%s at %s:%d has gone.", was.kind, was.host, was.port)
            self._rest(key, entry)

    def _settle(self, key: Key, entry: Entry) -> None:
        """Tell it when it has been so for a while; longer when it was told of just now."""
        entry.stop()
        calm_s = 0.0 if entry.told else entry.told_at + CALM_S - _now()
        delay_s = max(SETTLE_S, calm_s)
        entry.timer = asyncio.get_running_loop().call_later(delay_s, self._at_once, key, entry)

    def _at_once(self, key: Key, entry: Entry) -> None:
        entry.stop()
        if entry.seen != entry.told:
            self._due[key] = None
            self._wake.set()
        elif entry.seen is None:
            self._rest(key, entry)

    def _rest(self, key: Key, entry: Entry) -> None:
        """Nobody is there: remember for a while when it was told of, then forget it."""
        if entry.seen is None:
            entry.stop()
            entry.timer = asyncio.get_running_loop().call_later(CALM_S, self._entries.pop, key, None)


def _now() -> float:
    return asyncio.get_running_loop().time()
