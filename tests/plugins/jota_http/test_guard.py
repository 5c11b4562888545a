"""Host and Origin: no foreign web page may talk to a Jota on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

if TYPE_CHECKING:
    from tests.plugins.jota_http.conftest import OpenDoor, Running


async def get(door: Running, **headers: str) -> aiohttp.ClientResponse:
    async with (
        aiohttp.ClientSession() as http,
        http.get(door.url + "/api/v1/models", headers=headers) as answer,
    ):
        return answer


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("127.0.0.1", 200),
        ("[::1]:8000", 200),
        ("192.168.1.7:8000", 200),
        ("home.example.org", 200),
        ("evil.example.org", 403),
        ("localhost.evil.example.org", 403),
        ("localhost:8000@evil", 403),
    ],
)
async def test_host_names(open_door: OpenDoor, host: str, status: int) -> None:
    async with open_door(allowed_hosts=["home.example.org"]) as door:
        assert (await get(door, Host=host)).status == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:8000", 200),
        ("http://192.168.1.7:8000", 200),
        ("https://app.example.org", 200),
        ("http://app.example.org", 403),
        ("https://evil.example.org", 403),
        ("http://localhost.evil.example.org", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
async def test_origins(open_door: OpenDoor, origin: str, status: int) -> None:
    async with open_door(allowed_origins=["https://app.example.org"]) as door:
        answer = await get(door, Host="192.168.1.7:8000", Origin=origin)
        assert answer.status == status
        if status == 200:
            assert answer.headers["Access-Control-Allow-Origin"] == origin


async def test_websockets_of_foreign_pages_are_refused(door: Running) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(door.ws + "/ws/chat/ana", origin=Origin("https://evil.example.org"))
    assert refused.value.response.status_code == 403
    async with connect(door.ws + "/ws/chat/ana", origin=Origin(door.url)):
        pass


async def test_preflight(door: Running) -> None:
    async with aiohttp.ClientSession() as http:
        url, origin = door.url + "/api/v1/chat", "http://localhost:3000"
        async with http.options(url, headers={"Origin": origin}) as answer:
            assert answer.status == 204
            assert "x-client-key" in answer.headers["Access-Control-Allow-Headers"]
        async with http.options(url, headers={"Origin": "https://evil.example.org"}) as answer:
            assert answer.status == 403
