"""The plugin `jota_transcription`: settings, set-up and health."""

from __future__ import annotations

from collections.abc import Sequence

from jota_core.api import Health, Plugin, PluginContext, TranscriptionBackend, hookimpl

from .settings import TranscriptionSettings


class JotaTranscription(Plugin[TranscriptionSettings]):
    """Hears with another machine's ears."""

    Settings = TranscriptionSettings

    @hookimpl
    def jota_backends(self) -> Sequence[TranscriptionBackend]:
        from .backend import FarEars

        self._backend = FarEars(self.settings)
        return [self._backend]

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Begin to keep a connection warm."""
        ctx.spawn("spare connection", lambda: self._backend.keep(ctx.log))

    @hookimpl
    async def jota_health(self) -> Health | None:
        """Whether the other machine is there."""
        return self._backend.health()
