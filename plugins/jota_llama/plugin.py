"""The plugin: settings, set-up and health."""

from __future__ import annotations

from collections.abc import Sequence

from jota_core.api import Health, InferenceBackend, Plugin, PluginContext, hookimpl

from .backend import LlamaBackend
from .settings import LlamaSettings


class JotaLlama(Plugin[LlamaSettings]):
    """Runs a GGUF model on this machine."""

    Settings = LlamaSettings

    def __init__(self, settings: LlamaSettings) -> None:
        super().__init__(settings)
        self._backend = LlamaBackend(settings)

    @hookimpl
    def jota_backends(self) -> Sequence[InferenceBackend]:
        """The one backend of this section; not available before it is set up."""
        return [self._backend]

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Load the model. Raises `NotReady` with what to do while there is none that works."""
        await self._backend.open(ctx)

    @hookimpl
    async def jota_health(self) -> Health | None:
        """Which model is loaded, why none is, and how to get a better one."""
        return self._backend.health()
