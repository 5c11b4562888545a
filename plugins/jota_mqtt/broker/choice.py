"""Which broker to go to: the one that the user named, or one of those that were found on the LAN."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from aiomqtt import ProtocolVersion

from jota_core.api import Destination, Place, Resolve

from ..settings import MqttSettings
from .guard import Guard
from .troubles import Nowhere

MODERN, OLDER = ProtocolVersion.V5, ProtocolVersion.V311
Key = tuple[str, str, str, int]
"""Id and name of the announcement, address, port."""


@dataclass(slots=True)
class Tried:
    """What was learnt of one place."""

    language: ProtocolVersion
    is_sure: bool = False
    """It has spoken that language with us."""
    failed_at: float = 0.0


class Choice:
    """Knows which place comes next and what to speak there."""

    def __init__(self, settings: MqttSettings, destination: Destination, resolve: Resolve) -> None:
        self._first = OLDER if settings.embedded else MODERN
        self._destination = destination
        self._guard = Guard(settings, destination)
        self._resolve = resolve
        self._tried: dict[Key, Tried] = {}

    @property
    def objection(self) -> str:
        """Why the password would be sent to nobody now, for people."""
        return self._guard.objection

    async def place(self) -> Place:
        """The one that failed longest ago, so that each has its turn. Raises `Nowhere`."""
        await self._guard.agree()
        places = await self._destination.places(self._resolve)
        if not places:
            raise Nowhere(self._destination.nobody)
        self._tried = {_key(each): self._of(each) for each in places}  # those that have gone are forgotten
        return min(places, key=lambda each: self._of(each).failed_at)

    def language(self, place: Place) -> ProtocolVersion:
        """What to speak there."""
        return self._of(place).language

    def let_in(self, place: Place) -> None:
        """It knows us, and speaks the language that we tried."""
        self._of(place).is_sure = True
        self._destination.worked(place)
        self._guard.used(place)

    def misunderstood(self, place: Place) -> None:
        """It may not know the language that we tried: the other one comes next."""
        tried = self._of(place)
        if not tried.is_sure and self._first is MODERN:
            tried.language = OLDER if tried.language is MODERN else MODERN

    def failed(self, place: Place) -> None:
        """It was tried in vain: others come first."""
        self._of(place).failed_at = monotonic()
        self._destination.failed(place)

    def _of(self, place: Place) -> Tried:
        return self._tried.setdefault(_key(place), Tried(self._first))


def _key(place: Place) -> Key:
    record = place.record
    return (record.id if record else "", record.name if record else "", place.host, place.port)
