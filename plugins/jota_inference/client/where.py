"""Where one center is: at a URL, or where it announced itself."""

from __future__ import annotations

from jota_core.api import Destination, Place, Resolve, ServiceRecord


class Where:
    """Where one center is: at a URL, or where it announced itself."""

    def __init__(
        self, destination: Destination, resolve: Resolve, record: ServiceRecord | None = None
    ) -> None:
        self.record = record
        self._destination = destination
        self._resolve = resolve

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others of its section."""
        return (self.record.id, self.record.name) if self.record else ("", "")

    @property
    def url(self) -> str:
        """For people."""
        far = self._destination.far
        return self.record.url(*far.schemes) if self.record else far.url

    async def places(self) -> list[Place]:
        """Every address to try, the best first."""
        if self.record is None:
            return await self._destination.places(self._resolve)
        return self._destination.places_of(self.record)

    def worked(self, place: Place) -> None:
        """It answered there."""
        self._destination.worked(place)
