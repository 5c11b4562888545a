"""The plugin `jota_inference`: settings, set-up and health."""

from __future__ import annotations

from collections.abc import Sequence

from jota_core.api import (
    Health,
    InferenceBackend,
    Plugin,
    PluginContext,
    ServiceMatcher,
    ServiceRecord,
    hookimpl,
)

from .backend import FarBackend
from .settings import InferenceSettings


class JotaInference(Plugin[InferenceSettings]):
    """Answers with the models of another machine."""

    Settings = InferenceSettings
    in_each_worker = True

    def __init__(self, settings: InferenceSettings) -> None:
        super().__init__(settings)
        self._backend = FarBackend(settings, settings.far)

    @hookimpl
    def jota_backends(self) -> Sequence[InferenceBackend]:
        """The one backend of this section; available while it is connected."""
        return [self._backend]

    @hookimpl
    def jota_service_matchers(self) -> Sequence[ServiceMatcher]:
        """Centers on the LAN, with `url: discover`."""
        return self._backend.destination.matchers

    @hookimpl
    async def jota_service_found(self, service: ServiceRecord) -> None:
        """Connect to it."""
        await self._backend.found(service)

    @hookimpl
    async def jota_service_lost(self, service: ServiceRecord) -> None:
        """Send no more turns there."""
        await self._backend.lost(service)

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Connect; a center that is not there yet is tried again and again behind it."""
        await self._backend.open(ctx)

    @hookimpl
    async def jota_health(self) -> Health | None:
        """Whether the center is there, and why not."""
        return self._backend.health()
