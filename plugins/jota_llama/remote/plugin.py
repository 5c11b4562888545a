"""The plugin `jota_openai`: settings, set-up and health."""

from __future__ import annotations

from collections.abc import Sequence

from jota_core.api import (
    Health,
    InferenceBackend,
    Plugin,
    PluginContext,
    hookimpl,
)

from .backend import RemoteBackend
from .settings import RemoteSettings


class JotaOpenAi(Plugin[RemoteSettings]):
    """Answers with the models of a server that speaks OpenAI's chat API."""

    Settings = RemoteSettings
    in_each_worker = True

    def __init__(self, settings: RemoteSettings) -> None:
        super().__init__(settings)
        self._backend = RemoteBackend(settings)

    @hookimpl
    def jota_backends(self) -> Sequence[InferenceBackend]:
        """The one backend of this section; available while the server answers."""
        return [self._backend]

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Look for the server; one that is not there yet is looked for again and again."""
        await self._backend.open(ctx)

    @hookimpl
    async def jota_health(self) -> Health | None:
        """Whether the server is there, and why not."""
        return self._backend.health()
