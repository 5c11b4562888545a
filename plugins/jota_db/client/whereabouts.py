"""Where JotaDB is: at its URL, or where the LAN has it; and always the same one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from jota_core.api import Destination, Place, Resolve, ServiceRecord, Unproven

from .settings import JotaDbClientSettings
from .wire import Away

OTHER = (
    "A JotaDB with the id {found} is on the LAN, but this host's memory was in {known}. If it is to be used "
    "from now on, say so by `pin: {found}`."
)


class Whereabouts:
    """Keeps to the JotaDB that was used first: a change of identity needs consent, by `pin:`."""

    def __init__(self, settings: JotaDbClientSettings, resolve: Resolve, file: Path) -> None:
        self.destination = Destination(settings.far)
        self.at = settings.url
        """Where it was last, for people."""
        self._resolve = resolve
        self._bearer = settings.bearer.get_secret_value() if settings.bearer else ""
        self._file = file
        self._known = file.read_text().strip() if file.exists() else ""
        self._stranger = ""

    def found(self, record: ServiceRecord) -> None:
        """One is on the LAN."""
        if self.destination.far.pin is None and self._known and self._known != record.id:
            self._stranger = OTHER.format(found=record.id, known=self._known)
        else:
            self.destination.found(record)

    def lost(self, record: ServiceRecord) -> None:
        """One has left."""
        self.destination.lost(record)
        if record.id in self._stranger:
            self._stranger = ""

    async def base(self) -> str:
        """The address to ask from now on, as in `http://10.0.0.5:8080`. Raises `Away`."""
        try:
            place = await self.destination.place(self._resolve, key=self._bearer)
        except (OSError, Unproven) as error:
            only_others = self._stranger and not self.destination.records
            raise Away((self._stranger if only_others else str(error)).rstrip(".")) from None
        self.at = place.url
        if place.record is not None and place.record.id != self._known:
            self._known = place.record.id
            await asyncio.to_thread(self._file.write_text, place.record.id)
        return _with_address(place)


def _with_address(place: Place) -> str:
    """Its URL with the address for the name; a certificate needs the name."""
    parts = urlsplit(place.url)
    if parts.scheme == "https" and place.record is None:
        return place.url
    host = f"[{place.host}]" if ":" in place.host else place.host
    return parts._replace(netloc=f"{host}:{place.port}").geturl().rstrip("/")
