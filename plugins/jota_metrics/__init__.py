"""Metrics for Prometheus at `/metrics` of every HTTP door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jota_core.api import (
    HttpRequest,
    HttpResponse,
    HttpRoute,
    LoopBlocked,
    Plugin,
    PluginContext,
    SectionChanged,
    SessionClosed,
    SessionOpened,
    Settings,
    TurnFinished,
    hookimpl,
)

if TYPE_CHECKING:
    from .meters import Meters


class JotaMetrics(Plugin[Settings]):
    """Hears the facts that the host tells, counts them and shows the counts."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._meters: Meters | None = None

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Begin to count."""
        from .meters import Meters  # prometheus-client is not needed by `jota check`

        meters = self._meters = Meters()
        ctx.subscribe(TurnFinished, meters.turn_finished)
        ctx.subscribe(SessionOpened, meters.session_opened)
        ctx.subscribe(SessionClosed, meters.session_closed)
        ctx.subscribe(SectionChanged, meters.section_changed)
        ctx.subscribe(LoopBlocked, meters.loop_blocked)

    @hookimpl
    def jota_http_routes(self) -> Sequence[HttpRoute]:
        return [HttpRoute("GET", "/metrics", self._show, "Counts and times for Prometheus.")]

    async def _show(self, request: HttpRequest) -> HttpResponse:
        if self._meters is None:
            return HttpResponse(b"The metrics section is not running.\n", 503, "text/plain; charset=utf-8")
        body, content_type = self._meters.page()
        return HttpResponse(body, 200, content_type)
