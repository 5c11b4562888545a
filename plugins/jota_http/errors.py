"""Errors on HTTP: one body for all, and the status of every code."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from jota_core.api import Code, JotaError

STATUS = {
    Code.UNAUTHORIZED: 401,
    Code.FORBIDDEN: 403,
    Code.TOO_MANY_REQUESTS: 429,
    Code.NOT_FOUND: 404,
    Code.INVALID_REQUEST: 422,
    Code.TOO_LARGE: 413,
    Code.BUSY: 429,
    Code.CANCELLED: 409,
    Code.UPSTREAM_LOST: 502,
    Code.STALLED: 504,
    Code.MODEL_NOT_FOUND: 404,
    Code.CONTEXT_TOO_LONG: 422,
    Code.UNSUPPORTED: 422,
    Code.INTERNAL: 500,
}
"""All other codes mean 503: try again later."""


class Malformed(JotaError):
    """The body cannot even be parsed."""

    def __init__(self, sentence: str) -> None:
        super().__init__(Code.INVALID_REQUEST, sentence)


class TooSlow(JotaError):
    """The body did not arrive in time."""

    def __init__(self, sentence: str) -> None:
        super().__init__(Code.INVALID_REQUEST, sentence)


def status_of(error: JotaError) -> int:
    """The HTTP status that tells an error."""
    if isinstance(error, Malformed):
        return 400
    if isinstance(error, TooSlow):
        return 408
    return STATUS.get(error.code, 503)


def body_of(error: JotaError) -> dict[str, Any]:
    """The JSON object that tells an error."""
    body: dict[str, Any] = {"status": "error", "code": error.code, "message": error.sentence}
    if error.retry_after_s is not None:
        body["retry_after_s"] = error.retry_after_s
    return body


def response_of(error: JotaError, *, status: int | None = None) -> web.Response:
    """The whole response that tells an error."""
    response = json_response(body_of(error), status=status or status_of(error))
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if response.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def json_response(body: object, *, status: int = 200) -> web.Response:
    """JSON of facts, mappings and lists."""
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
