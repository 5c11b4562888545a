"""All routes together, and the pages that tell of them."""

from __future__ import annotations

from functools import cache
from typing import Any

from aiohttp import web

from . import admin, agenda, auth, chat, config, openapi, records, seed, services, turns
from .routes import Call, Route

FEATURES = ("turns", "records")
"""What another Jota may use beyond the public JotaDB."""
SERVICE = "Cerebro Digital API"
"""What the public JotaDB calls itself there."""


async def health(call: Call) -> Any:
    """How we are; `status` and `service` as the public JotaDB tells them."""
    found = await call.store.health()
    told = {
        "status": "ok" if found.ok else "degraded",
        "service": "Cerebro Digital API",
        "features": FEATURES,
    }
    return told if found.ok else told | {"detail": found.detail}


async def document(_: Call) -> Any:
    """The OpenAPI document."""
    return _document()


async def page(_: Call) -> Any:
    """The same for people."""
    return web.Response(text=openapi.page(_document()), content_type="text/html")


@cache
def all_routes() -> list[Route]:
    """Every route; fixed paths before those with an id in the same place."""
    found = [
        Route("GET", "/health", health, "How it is", "open"),
        Route("GET", "/openapi.json", document, "This document", "open"),
        Route("GET", "/docs", page, "This document for people", "open", content="text/html"),
    ]
    for part in (auth, chat, seed, turns, records, config, services, admin, agenda):
        found += part.ROUTES
    return sorted(found, key=lambda route: route.path.count("{"))


@cache
def _document() -> dict[str, Any]:
    return openapi.document(all_routes())
