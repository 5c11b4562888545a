"""The plugin `jota_transcription`: settings, set-up and health."""

from __future__ import annotations

from collections.abc import Sequence

from jota_core.api import (
    Destination,
    Health,
    Plugin,
    PluginContext,
    ServiceMatcher,
    ServiceRecord,
    TranscriptionBackend,
    hookimpl,
)

from .settings import TranscriptionSettings


class JotaTranscription(Plugin[TranscriptionSettings]):
    """Hears with another machine's ears."""

    Settings = TranscriptionSettings
    in_each_worker = True

    @hookimpl
    def jota_backends(self) -> Sequence[TranscriptionBackend]:
        from .backend import FarEars

        self._backend = FarEars(self.settings)
        return [self._backend]

    @hookimpl
    def jota_service_matchers(self) -> Sequence[ServiceMatcher]:
        """Transcription APIs on the LAN, with `url: discover`."""
        return Destination(self.settings.far).matchers

    @hookimpl
    async def jota_service_found(self, service: ServiceRecord) -> None:
        """Use it from now on."""
        self._backend.destination.found(service)

    @hookimpl
    async def jota_service_lost(self, service: ServiceRecord) -> None:
        """Use another one from now on."""
        await self._backend.lost(service)

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Begin to keep a connection warm."""
        ctx.spawn("spare connection", lambda: self._backend.keep(ctx.log, ctx.lan.resolve))

    @hookimpl
    async def jota_health(self) -> Health | None:
        """Whether the other machine is there."""
        return self._backend.health()
