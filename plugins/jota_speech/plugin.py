"""The plugin: settings, set-up and health."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jota_core.api import (
    Health,
    Plugin,
    PluginContext,
    SpeechBackend,
    hookimpl,
)

from .settings import SpeechSettings

if TYPE_CHECKING:
    from .backend import LocalSpeech


class JotaSpeech(Plugin[SpeechSettings]):
    """Says answers aloud on this machine."""

    Settings = SpeechSettings
    in_each_worker = True

    def __init__(self, settings: SpeechSettings) -> None:
        super().__init__(settings)
        self._backend: LocalSpeech | None = None

    @hookimpl
    def jota_backends(self) -> Sequence[SpeechBackend]:
        from .backend import LocalSpeech

        self._backend = LocalSpeech(self.settings)
        return [self._backend]

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Voices are loaded when they are first needed."""
        assert self._backend is not None
        self._backend.open(ctx.data_dir)
        ctx.on_close(self._backend.close)

    @hookimpl
    async def jota_health(self) -> Health | None:
        """Which languages it speaks, and how to get more."""
        return self._backend.health() if self._backend else None
