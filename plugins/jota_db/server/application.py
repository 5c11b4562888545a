"""The HTTP application: each route checked, called and answered; every error a sentence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from jota_core.api import Code, JotaError, follow

from ..sql.shelf import VersionConflict
from .gate import Gate, Guessed
from .routes import Call, HttpError, Nothing, Route

if TYPE_CHECKING:
    from ..sql.store import SqlStore

BODY_S = 30.0
BROKEN = "Something failed inside the host; its log has the details."
LONGEST_BODY = 4 * 1024 * 1024
STATUS = {
    Code.NOT_FOUND: 404,
    Code.INVALID_REQUEST: 422,
    Code.TOO_LARGE: 413,
    Code.TOO_MANY_REQUESTS: 429,
    Code.BUSY: 429,
    Code.UNAUTHORIZED: 401,
    Code.FORBIDDEN: 403,
    Code.MEMORY_UNAVAILABLE: 503,
}
log = logging.getLogger(__name__)
Opened = Callable[[], "SqlStore"]


def application(
    routes: list[Route], gate: Gate, opened: Opened, changed: Callable[[str], None]
) -> web.Application:
    """Every route, with and without a slash at its end."""
    app = web.Application(middlewares=[_answer], client_max_size=LONGEST_BODY)
    for route in routes:
        handle = _Handle(route, gate, opened, changed).answer
        for path in {route.path, f"{route.path.rstrip('/')}/"}:
            app.router.add_route(route.method, path, handle)
    return app


class _Handle:
    """One route as aiohttp calls it."""

    def __init__(self, route: Route, gate: Gate, opened: Opened, changed: Callable[[str], None]) -> None:
        self._route = route
        self._gate = gate
        self._opened = opened
        self._changed = changed

    async def answer(self, request: web.Request) -> web.Response:
        """The whole way of a request; wrong keys are counted and answered slowly."""
        follow(request.headers.get("X-Request-Id"))
        began = monotonic()
        try:
            response = await self._answer(request)
            log.debug(
                "%s %s: %d in %.1f ms.",
                request.method, self._route.path, response.status, 1000 * (monotonic() - began),
            )  # fmt: skip
            return response
        except Guessed as error:
            if error.status == 403 or not self._route.for_others:
                await self._gate.slow_down(request)
            raise

    async def _answer(self, request: web.Request) -> web.Response:
        route = self._route
        call = Call(self._opened(), _path(request.match_info), None, None, changed=self._changed)
        await self._gate.let_in(request, route, call)
        call.query = _query(route.query, request)
        if route.body is not None:
            call.body = await _body(route.body, request)
        answer = await route.handler(call)
        if isinstance(answer, web.Response):
            return answer
        return json_response(answer, route.status) if route.status != 204 else web.Response(status=204)


def _path(found: Mapping[str, str]) -> dict[str, Any]:
    """Ids from the address; those called `conversation_id` and `number` are numbers."""
    told: dict[str, Any] = {}
    for name, text in found.items():
        _check_text(text, name)
        if name in ("conversation_id", "number"):
            if not (text.isascii() and text.isdigit() and len(text) <= 18):
                raise invalid([_found(["path", name], "Input should be a valid integer")])
            told[name] = int(text)
        else:
            told[name] = text
    return told


def _query(model: type[BaseModel], request: web.Request) -> Any:
    if model is Nothing:
        return None
    given = dict(request.query)
    for name, text in given.items():
        _check_text(text, name)
    return _checked(lambda: model.model_validate(given, strict=False), "query")


async def _body(model: type[BaseModel], request: web.Request) -> Any:
    try:
        async with asyncio.timeout(BODY_S):
            data = await request.read()
    except TimeoutError:
        raise HttpError(408, _wrong(f"The body did not arrive within {BODY_S:g} s.")) from None
    except web.RequestPayloadError:
        raise HttpError(400, _wrong("The body ended too early.")) from None
    return _checked(lambda: model.model_validate_json(data), "body")


def _checked(made: Callable[[], Any], where: str) -> Any:
    try:
        return made()
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise invalid([{**each, "loc": [where, *each["loc"]]} for each in found]) from None


def _check_text(text: str, name: str) -> None:
    if not text.isprintable() or any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
        raise invalid([_found([name], "it holds characters that no name may hold")])


def _found(where: list[str], what: str) -> dict[str, Any]:
    return {"loc": where, "msg": what, "type": "value_error"}


def _wrong(sentence: str) -> JotaError:
    return JotaError(Code.INVALID_REQUEST, sentence)


def invalid(details: list[dict[str, Any]]) -> HttpError:
    """422 with a list, as FastAPI tells it."""
    first = details[0]
    error = HttpError(422, _wrong(f"{'.'.join(map(str, first['loc']))}: {first['msg']}"))
    error.details = details  # type: ignore[attr-defined]  # only these have some
    return error


@web.middleware
async def _answer(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        response = _preflight() if request.method == "OPTIONS" else await handler(request)
    except VersionConflict as error:
        response = _told(HttpError(409, _wrong(str(error))))
    except JotaError as error:
        response = _told(error)
    except web.HTTPException as error:
        response = _told(HttpError(error.status, JotaError(_code_of(error.status), _reason(error))))
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    except ConnectionError:
        raise
    except Exception:
        log.exception("%s %s failed.", request.method, request.match_info.route.resource)
        response = _told(HttpError(500, JotaError(Code.INTERNAL, BROKEN)))
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _told(error: JotaError) -> web.Response:
    status = error.status if isinstance(error, HttpError) else STATUS.get(error.code, 503)
    detail = getattr(error, "details", error.sentence)
    response = json_response({"detail": detail, "code": error.code}, status)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _code_of(status: int) -> Code:
    return {404: Code.NOT_FOUND, 413: Code.TOO_LARGE}.get(status, Code.INVALID_REQUEST)


def _reason(error: web.HTTPException) -> str:
    return {
        404: "There is nothing at this address; see /openapi.json.",
        405: "This address does not take this method; see /openapi.json.",
        413: f"The body is larger than {LONGEST_BODY} bytes.",
    }.get(error.status, f"The request is not understood: {error.reason}.")


def _preflight() -> web.Response:
    allowed = {"Access-Control-Allow-Methods": "*", "Access-Control-Allow-Headers": "*, Authorization"}
    return web.Response(status=204, headers=allowed)


def json_response(body: object, status: int = 200) -> web.Response:
    """JSON of mappings and lists."""
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
