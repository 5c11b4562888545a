"""The LAN of this host: what discovery sees goes to the sections that want it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from jota_core.api import Lan, LanOffer, ServiceMatcher, ServiceRecord, TaskOwner, Transport

from .sightings import Sightings


class LanHooks(Protocol):
    """The hooks that are about the LAN; the dispatcher answers them."""

    async def service_found(self, section: str, record: ServiceRecord) -> None:
        """Tell one section."""

    async def service_lost(self, section: str, record: ServiceRecord) -> None:
        """Tell one section."""

    async def resolve_host(self, host: str) -> Sequence[str]:
        """Addresses by the first section that knows any."""


@dataclass(frozen=True, slots=True)
class LanParts:
    """Who wants what, who offers what, and how they are told."""

    hooks: LanHooks
    matchers: Sequence[tuple[str, ServiceMatcher]]
    """By section."""
    doors: Sequence[Transport]
    wake: Callable[[str], None]
    """Let a section try again now."""


class HostLan(Lan):
    """The registry of a host. `parts` are set before it is started."""

    parts: LanParts

    def __init__(self) -> None:
        self._sightings = Sightings()
        self._tasks = TaskOwner("lan")

    @property
    def wanted(self) -> frozenset[str]:
        return frozenset(matcher.kind for _, matcher in self.parts.matchers)

    def offers(self) -> Sequence[LanOffer]:
        return [offer for door in self.parts.doors for offer in door.offers()]

    def seen(self, record: ServiceRecord) -> None:
        self._sightings.seen(record)

    def gone(self, record: ServiceRecord) -> None:
        self._sightings.gone((record.kind, record.id, record.name))

    async def resolve(self, host: str) -> Sequence[str]:
        return await self.parts.hooks.resolve_host(host)

    def start(self) -> None:
        """Begin to tell."""
        self._tasks.start("tell", self._sightings.tell(self._found, self._lost))

    async def close(self) -> None:
        """Tell nobody any more."""
        self._sightings.close()
        await self._tasks.close()

    async def replay(self, section: str) -> None:
        """Tell a section that has just come up what there is."""
        for record in self._sightings.known:
            if section in self._sections(record):
                await self.parts.hooks.service_found(section, record)

    async def _found(self, record: ServiceRecord, *, is_news: bool) -> None:
        sections = self._sections(record)
        await asyncio.gather(*(self.parts.hooks.service_found(each, record) for each in sections))
        for each in sections if is_news else ():
            self.parts.wake(each)

    async def _lost(self, record: ServiceRecord) -> None:
        await asyncio.gather(
            *(self.parts.hooks.service_lost(each, record) for each in self._sections(record))
        )

    def _sections(self, record: ServiceRecord) -> Iterable[str]:
        return dict.fromkeys(name for name, matcher in self.parts.matchers if matcher.matches(record))
