"""A small listener of its own: `/metrics`, `/health` deep, `/health/live` cheap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from hmac import compare_digest
from importlib import import_module
from typing import TYPE_CHECKING

from jota_core.api import PluginContext, Sessions, Transport, split_listen

from .settings import MetricsSettings

if TYPE_CHECKING:
    from aiohttp import web

Page = Callable[[], Awaitable[tuple[bytes, str]]]


class MetricsDoor(Transport):
    """Set `context` before serving."""

    context: PluginContext

    def __init__(self, settings: MetricsSettings, page: Page) -> None:
        self._settings = settings
        self._page = page
        self.port = 0
        """Where it listens; 0 while it does not."""

    async def serve(self, sessions: Sessions) -> None:
        web = await asyncio.to_thread(import_module, "aiohttp.web")
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/health", self._health)
        application.router.add_get("/health/live", self._live)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            host, port = split_listen(self._settings.listen or "")
            await web.TCPSite(runner, host or None, port).start()
            self.port = runner.addresses[0][1]
            self.context.log.info("Metrics on http://%s/metrics", self._settings.listen)
            self.context.ready()
            await asyncio.get_running_loop().create_future()
        finally:
            self.port = 0
            await runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        from aiohttp import web

        if not self._is_let_in(request):
            raise web.HTTPUnauthorized(text="Send the key of the section as `Authorization: Bearer KEY`.\n")
        body, content_type = await self._page()
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _health(self, request: web.Request) -> web.Response:
        """Every section; 503 while one is not well."""
        from aiohttp import web

        report = await self.context.health()
        told = asdict(report) if self._is_let_in(request) else {}
        status = {"status": "ok" if report.ok else "degraded"}
        return web.json_response({**status, **told}, status=200 if report.ok else 503)

    async def _live(self, _: web.Request) -> web.Response:
        from aiohttp import web

        return web.json_response({"status": "ok"})

    def _is_let_in(self, request: web.Request) -> bool:
        if self._settings.key is None:
            return True
        shown = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        right = self._settings.key.get_secret_value()
        return compare_digest(shown.encode("utf-8", "surrogatepass"), right.encode())
