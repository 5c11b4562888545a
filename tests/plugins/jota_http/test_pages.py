"""Pages of the door itself, and its OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import pytest
from openapi_spec_validator import validate

from jota_core.api import HttpRequest, HttpResponse, HttpRoute, State

if TYPE_CHECKING:
    from tests.plugins.jota_http.conftest import OpenDoor, Running


@pytest.fixture
async def http(door: Running) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(door.url) as http:
        yield http


async def test_greeting_for_programs(http: aiohttp.ClientSession) -> None:
    async with http.get("/") as answer:
        told = await answer.json()
    assert told["status"] == "online"
    assert set(told) == {"message", "environment", "status"}


async def test_page_for_browsers_allows_only_its_own_script(http: aiohttp.ClientSession) -> None:
    async with http.get("/", headers={"Accept": "text/html,*/*"}) as answer:
        policy, page = answer.headers["Content-Security-Policy"], await answer.text()
    assert "default-src 'none'" in policy
    assert policy.count("'sha256-") == 2
    assert not re.findall(r"""(?:src|href)=|\son\w+=["']|style=""", page.split("<script>", maxsplit=1)[0])


async def test_health_in_the_documented_shape(door: Running, http: aiohttp.ClientSession) -> None:
    async with http.get("/health") as answer:
        assert answer.status == 200
        told = await answer.json()
    assert told["status"] == "ok"
    assert told["components"] == {"inference_engine": "connected", "jota_db": "connected"}
    memory, llm = door.context.report.sections
    door.context.report = replace(
        door.context.report, ok=False, sections=(memory, replace(llm, state=State.WAITING, retry_in_s=2.0))
    )
    async with http.get("/health") as answer:
        assert answer.status == 503
        told = await answer.json()
    assert told["status"] == "degraded"
    assert told["components"]["inference_engine"] == "disconnected"
    assert told["sections"][1]["state"] == "waiting"
    async with http.get("/health/live") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("PUT", "/health", 405), ("GET", "/ws/chat/ana", 426), ("GET", "/chat", 405)],
)
async def test_wrong_addresses_are_told_in_json(
    http: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    async with http.request(method, path) as answer:
        assert answer.status == status
        assert (await answer.json())["status"] == "error"


async def test_routes_of_other_sections(open_door: OpenDoor) -> None:
    async def show(request: HttpRequest) -> HttpResponse:
        who = request.principal.id if request.principal else "nobody"
        return HttpResponse(f"{who} {request.query['a']}".encode(), 201, "text/plain; version=1")

    routes = (
        HttpRoute("GET", "/mine", show, "Mine."),
        HttpRoute("GET", "/all", show, "All.", open_to_all=True),
    )
    keys = {"phone": {"key": "p" * 32}}
    async with open_door(routes=routes, keys=keys) as door, aiohttp.ClientSession(door.url) as http:
        async with http.get("/all?a=1") as answer:
            assert (answer.status, await answer.text()) == (201, "nobody 1")
            assert answer.headers["Content-Type"] == "text/plain; version=1"
        async with http.get("/mine?a=1") as answer:
            assert answer.status == 401
        async with http.get("/mine?a=1", headers={"x-client-key": "p" * 32}) as answer:
            assert await answer.text() == "api_user 1"


async def test_openapi_document_is_valid_and_names_every_route(
    door: Running, http: aiohttp.ClientSession
) -> None:
    async with http.get("/openapi.json") as answer:
        document = await answer.json()
    validate(document)
    told = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert told == await real_routes(http, {path for path, _ in told})


async def real_routes(http: aiohttp.ClientSession, paths: set[str]) -> set[tuple[str, str]]:
    """What the server takes, asked of the server: a wrong method is answered with the right ones."""
    found = set()
    for path in paths:
        async with http.request("TRACE", path.format(user_id="a", conversation_id=1)) as answer:
            assert answer.status == 405, path
            methods = answer.headers["Allow"].split(",")
        found |= {(path, method) for method in methods if method not in ("HEAD", "OPTIONS")}
    return found
