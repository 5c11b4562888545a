"""Metrics for Prometheus at `/metrics` of the app door, and on a listener of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from jota_core.api import (
    GenerationFinished,
    HttpRequest,
    HttpResponse,
    HttpRoute,
    LoopBlocked,
    Plugin,
    PluginContext,
    SectionChanged,
    SessionClosed,
    SessionOpened,
    SetupFailed,
    StoreUsed,
    Transport,
    TurnFinished,
    Worker,
    hookimpl,
    split_listen,
)

from .door import MetricsDoor
from .settings import MetricsSettings

if TYPE_CHECKING:
    from .meters import Meters

NO_KEY = (
    "It listens on {listen}, which other machines can reach, but has no key, so anyone could read it. "
    "Add `key: {{env: JOTA_METRICS_KEY}}` or listen on 127.0.0.1."
)


class JotaMetrics(Plugin[MetricsSettings]):
    """Hears the facts that the host tells, counts them and shows the counts."""

    Settings = MetricsSettings

    @classmethod
    def in_worker(cls, settings: MetricsSettings, worker: Worker) -> MetricsSettings:
        """Every process has figures of its own, on the port of the first and the ones behind it."""
        if settings.listen is None:
            return settings
        host, port = split_listen(settings.listen)
        return settings.model_copy(update={"listen": _joined(host, port + worker.number - 1)})

    def __init__(self, settings: MetricsSettings) -> None:
        super().__init__(settings)
        self._meters: Meters | None = None
        self._door = MetricsDoor(settings, self._page)

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Begin to count. Raises `SetupFailed` for a listener that strangers could read."""
        if not self.settings.is_safe:
            raise SetupFailed(NO_KEY.format(listen=self.settings.listen))
        self._door.context = ctx
        # prometheus-client is not needed by `jota check`; in a thread the loop goes on while it is imported.
        await asyncio.to_thread(import_module, f"{__package__}.meters")
        from .meters import Meters

        meters = self._meters = Meters()
        ctx.subscribe(TurnFinished, meters.turn_finished)
        ctx.subscribe(GenerationFinished, meters.generation_finished)
        ctx.subscribe(StoreUsed, meters.store_used)
        ctx.subscribe(SessionOpened, meters.session_opened)
        ctx.subscribe(SessionClosed, meters.session_closed)
        ctx.subscribe(SectionChanged, meters.section_changed)
        ctx.subscribe(LoopBlocked, meters.loop_blocked)

    @hookimpl
    def jota_transports(self) -> Sequence[Transport]:
        return [self._door] if self.settings.listen else []

    @hookimpl
    def jota_http_routes(self) -> Sequence[HttpRoute]:
        return [HttpRoute("GET", "/metrics", self._show, "Counts and times for Prometheus.")]

    async def _show(self, request: HttpRequest) -> HttpResponse:
        if self._meters is None:
            return HttpResponse(b"The metrics section is not running.\n", 503, "text/plain; charset=utf-8")
        body, content_type = await self._page()
        return HttpResponse(body, 200, content_type)

    async def _page(self) -> tuple[bytes, str]:
        assert self._meters is not None
        return self._meters.page(await self._door.context.health())


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
