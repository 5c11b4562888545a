"""The plugin: settings, set-up and health."""

from __future__ import annotations

from collections.abc import Sequence

from jota_core.api import Health, Plugin, PluginContext, TranscriptionBackend, hookimpl

from .backend import WhisperBackend
from .settings import WhisperSettings


class JotaWhisper(Plugin[WhisperSettings]):
    """Turns speech into text on this machine."""

    Settings = WhisperSettings

    def __init__(self, settings: WhisperSettings) -> None:
        super().__init__(settings)
        self._backend = WhisperBackend(settings)

    @hookimpl
    def jota_backends(self) -> Sequence[TranscriptionBackend]:
        """The one backend of this section; not available before its model is loaded."""
        return [self._backend]

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Start the engine. Raises `NotReady` with what to do while its model is not there."""
        from .models import resolve

        model = resolve(self.settings.model, ctx.data_dir)
        ctx.spawn("engine", lambda: self._backend.keep(model, ctx.log))

    @hookimpl
    async def jota_health(self) -> Health | None:
        """What it hears with, and how many it hears."""
        return self._backend.health()
