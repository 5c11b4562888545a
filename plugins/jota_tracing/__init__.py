"""Traces for OpenTelemetry: one for each turn, over every machine that works for it."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jota_core.api import (
    GenerationFinished,
    Health,
    Plugin,
    PluginContext,
    Settings,
    SetupFailed,
    StoreUsed,
    TurnFinished,
    hookimpl,
)

if TYPE_CHECKING:
    from .spans import Spans

MISSING = 'Tracing needs the libraries of OpenTelemetry: pip install "jota[tracing]".'


class TracingSettings(Settings):
    """Where traces go."""

    endpoint: str = "http://127.0.0.1:4318/v1/traces"
    """A collector that takes OTLP over HTTP."""
    service: str = "jota"
    """What this host is called there."""


class JotaTracing(Plugin[TracingSettings]):
    """Makes spans of the facts that the host tells, after the event: nothing waits for them."""

    Settings = TracingSettings
    in_each_worker = True

    def __init__(self, settings: TracingSettings) -> None:
        super().__init__(settings)
        self._spans: Spans | None = None

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Begin to hear. Raises `SetupFailed` without the libraries."""
        try:
            module: Any = await asyncio.to_thread(import_module, "jota_tracing.spans")
        except ImportError:
            raise SetupFailed(MISSING) from None
        spans = self._spans = module.Spans(self.settings.endpoint, self.settings.service, ctx.log)
        ctx.on_close(self._close)
        ctx.subscribe(StoreUsed, spans.store)
        ctx.subscribe(TurnFinished, spans.turn)
        ctx.subscribe(GenerationFinished, spans.generation)

    @hookimpl
    async def jota_health(self) -> Health:
        """Jota itself is well without a collector, so that this is a hint."""
        return Health(True, hint=self._spans.trouble if self._spans else "")

    async def _close(self) -> None:
        """Send what waits; in a thread, since a collector may be slow or away."""
        if self._spans is not None:
            await asyncio.to_thread(self._spans.close)
