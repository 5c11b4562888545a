"""Where the far end of a section is: always at one URL, or wherever the LAN has it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

from .proof import Unproven, check_proof
from .services import ServiceMatcher, ServiceRecord

DISCOVER = "discover"
"""What stands in `url:` for an address that is found on the LAN."""
AVOIDED_S = 10.0
"""Who failed is asked last for so long."""

ADVICE = (
    "Nobody answers at {}: is it running there, does it listen on more than 127.0.0.1, and is the address "
    "right? `jota discover` shows what is on the LAN."
)
Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Addresses of a host name; empty leaves it to the system."""


@dataclass(frozen=True, slots=True)
class Place:
    """One address to try."""

    url: str
    """For people, and for names in certificates."""
    host: str
    """What to connect to: an address, or a name that the system resolves."""
    port: int
    record: ServiceRecord | None = None
    """What was announced; None for a URL that the user wrote, who answers for it."""

    async def check(self, client_id: str, key: str) -> None:
        """Before a key goes to somebody who only announced itself. Raises `Unproven`."""
        if self.record is not None:
            await check_proof(self.host, self.port, client_id, key)


@dataclass(frozen=True, slots=True)
class Far:
    """What a client connects to, by its settings."""

    url: str
    kind: str
    """Type of the service that is looked for."""
    schemes: tuple[str, str]
    """Plain and encrypted, as in `ws`, `wss`."""
    port: int
    """Used where a URL names none."""
    pin: str | None = None

    @property
    def is_discovered(self) -> bool:
        """Whether discovery says where it is."""
        return self.url == DISCOVER


class Destination:
    """Knows the places where a far end may be. A section passes `found` and `lost` on to it."""

    def __init__(self, far: Far) -> None:
        self.far = far
        self._records: dict[tuple[str, str], ServiceRecord] = {}
        self._failed: dict[tuple[str, str], float] = {}
        self._worked: dict[tuple[str, str], str] = {}
        """The address of each that answered last."""
        self._changed = asyncio.Event()

    @property
    def matchers(self) -> Sequence[ServiceMatcher]:
        """What the section wants to hear of; nothing when its URL is known."""
        return [ServiceMatcher(self.far.kind, self.far.pin)] if self.far.is_discovered else []

    def found(self, record: ServiceRecord) -> None:
        """It is there, or is told of anew; another load alone is no reason to try it again."""
        was = self._records.get((record.id, record.name))
        self._records[record.id, record.name] = record
        if was is None or not record.differs_in_load_only(was):
            self._failed.pop((record.id, record.name), None)
            self._changed.set()

    def lost(self, record: ServiceRecord) -> None:
        """It said goodbye, or was not heard of for long."""
        self._records.pop((record.id, record.name), None)
        self._failed.pop((record.id, record.name), None)
        self._worked.pop((record.id, record.name), None)
        self._changed.set()

    def worked(self, place: Place) -> None:
        """It answered: it comes first among its addresses from now on."""
        if place.record is not None:
            self._worked[place.record.id, place.record.name] = place.host
            self._failed.pop((place.record.id, place.record.name), None)

    def failed(self, place: Place) -> None:
        """It was tried in vain: others come first for a while."""
        if place.record is not None:
            self._failed[place.record.id, place.record.name] = monotonic()

    @property
    def records(self) -> list[ServiceRecord]:
        """What is there, the best first: who did not fail just now, then by load."""
        long_ago = monotonic() - AVOIDED_S
        return sorted(
            self._records.values(),
            key=lambda each: (self._failed.get((each.id, each.name), long_ago) > long_ago, each.load),
        )

    @property
    def nobody(self) -> str:
        """Why there is no place, for people."""
        wanted = f"{self.far.pin!r} ({self.far.kind})" if self.far.pin else f"a service {self.far.kind}"
        return (
            f"Looking for {wanted} on the LAN; none was seen. Is it running, in a section `jota_zeroconf` "
            "here and there? `jota discover` shows what there is; an address in its setting always works."
        )

    @property
    def advice(self) -> str:
        """What to look at when nobody answers at an address, for people."""
        return "" if self.far.is_discovered else ADVICE.format(self.far.url)

    async def places(self, resolve: Resolve) -> list[Place]:
        """Every place to try, the best first; empty when nothing was found."""
        if not self.far.is_discovered:
            return await places_at(self.far, resolve)
        return [place for record in self.records for place in self.places_of(record)]

    def places_of(self, record: ServiceRecord) -> list[Place]:
        """The addresses of something that was seen, the one that answered last first."""
        worked = self._worked.get((record.id, record.name))
        addresses = sorted(record.addresses, key=lambda each: each != worked)
        return [Place(record.url(*self.far.schemes), each, record.port, record) for each in addresses]

    async def place(self, resolve: Resolve, client_id: str = "", key: str = "") -> Place:
        """Where to go now: the first place that proves to know our key. Raises `Unproven`, `OSError`."""
        failure: Exception = ConnectionError(self.nobody)
        for place in await self.places(resolve):
            try:
                if key:
                    await place.check(client_id, key)
            except Unproven as error:
                failure = error
                self.failed(place)
            else:
                self.worked(place)
                return place
        raise failure

    async def wait(self, limit_s: float) -> None:
        """Until something is found or lost, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._changed.wait()
        self._changed.clear()


async def places_at(far: Far, resolve: Resolve) -> list[Place]:
    """The addresses of a URL: those that the LAN knows, else the name for the system's resolver."""
    parts = urlsplit(far.url)
    host, port = parts.hostname or "", parts.port or far.port
    found = await resolve(host) if host.endswith(".local") else ()
    return [Place(far.url, each, port) for each in found or [host]]
