"""The door's own pages: who we are, how we are, what we offer."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from aiohttp import web

from jota_core.api import HealthReport, HttpRequest, HttpRoute, PluginContext, Refused, State

from ..errors import json_response
from ..gate import Gate

WELCOME = {"message": "Welcome to Jota", "environment": "production", "status": "online"}


class PageRoutes:
    """Pages that need no session."""

    def __init__(self, gate: Gate, context: PluginContext) -> None:
        self._gate = gate
        self._context = context

    async def root(self, request: web.Request) -> web.Response:
        """A chat page for browsers, a greeting for programs."""
        if "text/html" not in request.headers.get("Accept", ""):
            return json_response(WELCOME)
        text, policy = chat_page()
        response = web.Response(text=text, content_type="text/html")
        host = request.headers.get("Host", "")
        response.headers["Content-Security-Policy"] = f"{policy}; connect-src 'self' ws://{host} wss://{host}"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    async def live(self, request: web.Request) -> web.Response:
        """The process answers; nothing else is asked."""
        return json_response({"status": "ok"})

    async def health(self, request: web.Request) -> web.Response:
        """How everything is; 503 when something is wrong. Details only for those who may chat."""
        report = await self._context.health()
        body = components(report)
        try:
            await self._gate.principal(request)
        except Refused:
            pass  # strangers see what is connected, and no more
        else:
            body |= {
                "loop_lag_ms": report.loop_lag_ms,
                **({"worker": report.worker} if report.worker else {}),
                "sections": [asdict(each) for each in report.sections],
            }
        return json_response(body, status=200 if report.ok else 503)

    async def openapi(self, request: web.Request) -> web.Response:
        """What this door serves, for tools."""
        return web.Response(body=openapi_document(), content_type="application/json")

    def offered(self, route: HttpRoute) -> Any:
        """A handler for a route that another section offers."""

        async def handle(request: web.Request) -> web.Response:
            principal = None if route.open_to_all else await self._gate.principal(request)
            body = await request.read()
            asked = HttpRequest(request.method, request.path, dict(request.query), body, principal)
            answer = await route.handler(asked)
            headers = {"Content-Type": answer.content_type}
            return web.Response(body=answer.body, status=answer.status, headers=headers)

        return handle


def components(report: HealthReport) -> dict[str, Any]:
    """The shape that older apps know."""

    def word(kind: str) -> str:
        up = (State.RUNNING, State.DEGRADED)
        able = any(kind in section.kinds and section.state in up for section in report.sections)
        return "connected" if able else "disconnected"

    parts = {"inference_engine": word("inference"), "jota_db": word("memory")}
    return {"status": "ok" if report.ok else "degraded", "components": parts}


@cache
def chat_page() -> tuple[str, str]:
    """The page, and a policy that allows its own script and nothing else."""
    text = (files(__package__) / "chat.html").read_text("utf-8")
    kinds = {"script": re.findall(r"<script>(.*?)</script>", text, re.S)}
    kinds["style"] = re.findall(r"<style>(.*?)</style>", text, re.S)
    policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    for kind, blocks in kinds.items():
        digests = (b64encode(sha256(block.encode()).digest()).decode() for block in blocks)
        policy += f"; {kind}-src " + " ".join(f"'sha256-{digest}'" for digest in digests)
    return text, policy


@cache
def openapi_document() -> bytes:
    """The OpenAPI document, kept by hand and checked by a test."""
    return (files(__package__) / "openapi.json").read_bytes()
