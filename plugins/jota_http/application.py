"""The HTTP application: every route, and the guard around them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from jota_core.api import Code, JotaError, PluginContext, Refused, Sessions

from .census import Census
from .chores import Chores
from .errors import Malformed, response_of
from .gate import Gate
from .guard import Guard
from .rest.chat import ChatRoutes
from .rest.library import LibraryRoutes
from .rest.pages import PageRoutes
from .settings import HttpSettings
from .ws.upgrade import Upgrade

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BROKEN = "Something failed inside the host; its log has the details."
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What an application is built from."""

    settings: HttpSettings
    context: PluginContext
    sessions: Sessions
    census: Census
    chores: Chores


def build(parts: Parts) -> web.Application:
    """The application of one door."""
    around = [shield(Guard(parts.settings))]
    app = web.Application(middlewares=around, client_max_size=parts.settings.max_body_bytes)
    gate = Gate(parts.sessions, parts.settings, parts.context.section)
    upgrade = Upgrade(gate, parts.sessions, parts.settings, parts.census, parts.chores)
    pages = PageRoutes(gate, parts.context)
    app.add_routes(_socket_routes(upgrade))
    app.add_routes(_chat_routes(ChatRoutes(gate, parts.sessions, parts.settings)))
    app.add_routes(_library_routes(LibraryRoutes(gate, parts.sessions)))
    app.add_routes(_page_routes(pages))
    for route in parts.context.http_routes():
        app.router.add_route(route.method, route.path, pages.offered(route))
    return app


def _socket_routes(upgrade: Upgrade) -> list[web.RouteDef]:
    return [
        web.get("/api/v1/ws/chat/{user_id}", upgrade.raw, allow_head=False),
        web.get("/ws/chat/{user_id}", upgrade.raw, allow_head=False),
        web.get("/api/chat/ws", upgrade.typed, allow_head=False),
        web.get("/ws/stream", upgrade.stream, allow_head=False),
        web.get("/api/chat/ws/{user_id}", upgrade.typed, allow_head=False),
    ]


def _chat_routes(chat: ChatRoutes) -> list[web.RouteDef]:
    return [web.post("/api/v1/chat", chat.chat), web.post("/chat", chat.first_chat)]


def _library_routes(library: LibraryRoutes) -> list[web.RouteDef]:
    return [
        web.get("/api/v1/conversations", library.conversations),
        web.get("/api/v1/conversations/{conversation_id}/messages", library.messages),
        web.delete("/api/v1/conversations/{conversation_id}", library.delete),
        web.patch("/api/v1/conversations/{conversation_id}/model", library.switch_model),
        web.get("/api/v1/models", library.models),
    ]


def _page_routes(pages: PageRoutes) -> list[web.RouteDef]:
    return [
        web.get("/", pages.root),
        web.get("/health", pages.health),
        web.get("/health/live", pages.live),
        web.get("/openapi.json", pages.openapi),
    ]


def shield(guard: Guard) -> Middleware:
    """Goes around every request: the guard before it, errors as sentences after it."""

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        try:
            guard.check(request.headers.get(hdrs.HOST), origin)
            response = _preflight() if request.method == "OPTIONS" else await handler(request)
        except (JotaError, web.HTTPException) as error:
            response = _told(error)
        except ConnectionError:
            raise
        except Exception:
            log.exception("%s %s failed.", request.method, _route(request))
            response = response_of(JotaError(Code.INTERNAL, BROKEN))
        if not response.prepared:
            _add_headers(response, origin)
        return response

    return handle


def _told(error: JotaError | web.HTTPException) -> web.Response:
    return response_of(error) if isinstance(error, JotaError) else _translated(error)


def _route(request: web.Request) -> str:
    """The pattern of the address: ids and keys of users stay out of the log."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "an unknown address"


def _add_headers(response: web.StreamResponse, origin: str | None) -> None:
    response.headers["X-Content-Type-Options"] = "nosniff"
    if origin is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Vary"] = "Origin"


def _preflight() -> web.Response:
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE",
            "Access-Control-Allow-Headers": "content-type, x-client-key, authorization",
            "Access-Control-Max-Age": "600",
        },
    )


def _translated(error: web.HTTPException) -> web.Response:
    """What aiohttp itself refuses, in our words."""
    if error.status == 404:
        return response_of(Refused(Code.NOT_FOUND, "There is nothing at this address; see /openapi.json."))
    if error.status == 405:
        sentence = "This address does not take this method; see /openapi.json."
        response = response_of(Refused(Code.INVALID_REQUEST, sentence), status=405)
        response.headers["Allow"] = error.headers.get("Allow", "")
        return response
    if error.status == 413:
        return response_of(Refused(Code.TOO_LARGE, "The body is larger than this server takes."))
    return response_of(Malformed(f"The request is not understood: {error.reason}."), status=error.status)
