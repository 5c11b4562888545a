"""Whether the password may be sent to what was found: names on the LAN may be claimed by anybody.

It cannot tell who lies, only that somebody may. A liar who is alone is believed: where the LAN is not
trusted, `mqtts://` with the broker's name is the way.
"""

from __future__ import annotations

import asyncio

from jota_core.api import Destination, Place, ServiceRecord

from ..settings import MqttSettings
from .troubles import Nowhere

CONSIDER_S = 2.0
"""Who else claims the name is heard of by then."""
ADVICE = "Write the address of yours into `broker:` (mqtts:// where the LAN is not trusted)"


class Guard:
    """Keeps the password from whoever is not the only one to have the pinned name, or has it only now."""

    def __init__(self, settings: MqttSettings, destination: Destination) -> None:
        self._is_needed = destination.far.is_discovered and settings.password is not None
        self._pin = settings.pin
        self._destination = destination
        self._considered = ""
        self._used: ServiceRecord | None = None

    @property
    def objection(self) -> str:
        """Why the password is sent to nobody now; empty when it may be."""
        records = self._destination.records if self._is_needed else []
        if len(records) > 1:
            return self._contradiction(records)
        if self._used and records and not _is_same(self._used, records[0]):
            return self._change(self._used, records[0])
        return ""

    async def agree(self) -> None:
        """What has the name now may be told the password. Raises `Nowhere`."""
        while self._is_needed and self._claims() != self._considered:
            self._considered = self._claims()
            await asyncio.sleep(CONSIDER_S)
        if objection := self.objection:
            raise Nowhere(objection)

    def used(self, place: Place) -> None:
        """It has let us in with the password: no other one is told it while this process lives."""
        if self._is_needed:
            self._used = place.record

    def _claims(self) -> str:
        return " and ".join(sorted(_shown(each) for each in self._destination.records))

    def _contradiction(self, records: list[ServiceRecord]) -> str:
        # Equal addresses are no comfort: who announces a host name takes its address over.
        first, second = sorted(_shown(each) for each in records)[:2]
        return (
            f"{len(records)} brokers on the LAN claim to be {self._pin!r}: {first} and {second}. One of them "
            f"may lie, so the password is sent to neither. {ADVICE}, or let only one be announced."
        )

    def _change(self, used: ServiceRecord, now: ServiceRecord) -> str:
        return (
            f"{_shown(now)} claims to be {self._pin!r}, which was {_shown(used)} until now, so the password "
            f"is not sent there. If it is yours, restart Jota. {ADVICE}."
        )


def _is_same(one: ServiceRecord, other: ServiceRecord) -> bool:
    return (one.id, one.host) == (other.id, other.host)


def _shown(record: ServiceRecord) -> str:
    return f"{record.id!r} at {record.host} ({', '.join(record.addresses)}, port {record.port})"
