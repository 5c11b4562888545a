"""Keys, and who may come in at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from pydantic import ValidationError
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from jota_core.api import Credentials, Principal, Refused, SetupFailed
from jota_http import JotaHttp

PHONE, TABLET, KITCHEN = "p" * 32, "t" * 32, "k" * 32
KEYS = {
    "phone": {"key": PHONE},
    "tablet": {"key": TABLET, "user": "ana"},
    "kitchen": {"key": KITCHEN, "roles": ["node"]},
}


if TYPE_CHECKING:
    from tests.plugins.jota_http.conftest import OpenDoor, Running


@pytest.fixture
async def door(open_door: OpenDoor) -> AsyncIterator[Running]:
    async with open_door(keys=KEYS, wrong_keys_per_minute=3) as door:
        yield door


@pytest.fixture
async def http(door: Running) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(door.url) as http:
        yield http


@pytest.mark.parametrize(
    "sent",
    [
        {"headers": {"x-client-key": PHONE}},
        {"headers": {"Authorization": f"Bearer {PHONE}"}},
        {"params": {"x_client_key": PHONE}},
        {"params": {"client_key": PHONE}},
        {"json": {"text": "say a", "client_key": PHONE}},
        {"headers": {"x-client-key": PHONE}, "params": {"client_key": "wrong"}},
    ],
)
async def test_key_may_stand_in_all_documented_places(http: aiohttp.ClientSession, sent: Any) -> None:
    async with http.post("/api/v1/chat", **{"json": {"text": "say a"}} | sent) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("key", "user", "status"),
    [
        (None, None, 401),
        ("wrong", None, 401),
        ("", None, 401),
        (PHONE + " ", "ana", 200),  # HTTP strips spaces around header values
        (TABLET, None, 200),
        (TABLET, "ana", 200),
        (TABLET, "eva", 403),
        (KITCHEN, "ana", 403),
    ],
)
async def test_statuses(http: aiohttp.ClientSession, key: str | None, user: str | None, status: int) -> None:
    headers = {} if key is None else {"x-client-key": key}
    body = {"text": "say a"} | ({"user_id": user} if user else {})
    async with http.post("/api/v1/chat", json=body, headers=headers) as answer:
        assert answer.status == status
        assert answer.headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)


async def test_bound_key_speaks_for_its_user(door: Running, http: aiohttp.ClientSession) -> None:
    await http.post("/api/v1/chat", json={"text": "say a", "client_key": TABLET})
    assert door.host.opened[0].principal.id == "ana"


async def test_first_days_say_unauthorized_with_200(http: aiohttp.ClientSession) -> None:
    async with http.post("/chat", json={"text": "say a"}) as answer:
        assert answer.status == 200
        told = await answer.json()
    assert (told["status"], told["message"]) == ("error", "Unauthorized")


@pytest.mark.parametrize(
    "query", ["", "?client_key=wrong", "?client_key=%0d%0aX-Evil:1", f"?client_key={KITCHEN}"]
)
async def test_websockets_get_403_before_the_handshake(door: Running, query: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{door.ws}/ws/chat/ana{query}")
    assert refused.value.response.status_code == 403


async def test_websocket_with_a_key(door: Running) -> None:
    async with connect(f"{door.ws}/ws/chat/ana?client_key={PHONE}") as app:
        await app.send("say a")
        assert await app.recv() == "a"


async def test_many_wrong_keys_are_refused_for_a_while(http: aiohttp.ClientSession) -> None:
    seen = []
    for number in range(5):
        async with http.get("/api/v1/models", headers={"x-client-key": f"wrong{number}"}) as answer:
            seen.append(answer.status)
    assert seen == [401, 401, 401, 429, 429]
    async with http.get("/api/v1/models", headers={"x-client-key": PHONE}) as answer:
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) <= 60


async def test_wrong_keys_are_answered_slowly(http: aiohttp.ClientSession) -> None:
    began = asyncio.get_running_loop().time()
    async with http.get("/api/v1/models", headers={"x-client-key": "wrong"}):
        assert asyncio.get_running_loop().time() - began >= 0.04


async def test_keys_are_in_no_log(http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with http.get(f"/api/v1/models?client_key={PHONE}"):
        pass
    async with http.get("/api/v1/models?client_key=guessed-key"):
        pass
    assert PHONE not in caplog.text
    assert "guessed-key" not in caplog.text


async def test_health_tells_strangers_no_details(http: aiohttp.ClientSession) -> None:
    async with http.get("/health") as answer:
        assert set(await answer.json()) == {"status", "components"}
    async with http.get("/health", headers={"x-client-key": PHONE}) as answer:
        assert "sections" in await answer.json()


async def test_static_keys_count_at_other_doors_and_open_doors_only_at_their_own(door: Running) -> None:
    key = Credentials("nodes", user_id="ana", key=KITCHEN)
    assert await door.plugin.jota_authenticate(key) == Principal("ana", frozenset({"node"}))
    with pytest.raises(Refused):
        await door.plugin.jota_authenticate(Credentials("nodes", user_id="eva", key=TABLET))


async def test_open_door_answers_for_itself_only(open_door: OpenDoor) -> None:
    async with open_door() as door:
        assert await door.plugin.jota_authenticate(Credentials("nodes", user_id="ana")) is None


@pytest.mark.parametrize("listen", ["0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:8000"])
async def test_others_can_only_reach_a_door_with_keys(open_door: OpenDoor, listen: str) -> None:
    with pytest.raises(SetupFailed, match="Add a key"):
        async with open_door(listen=listen):
            pass


async def test_door_beyond_loopback_opens_with_keys(open_door: OpenDoor) -> None:
    async with open_door(listen="0.0.0.0:0", keys=KEYS) as door, aiohttp.ClientSession() as http:
        answer = await http.get(door.url + "/health/live")
        assert answer.status == 200


@pytest.mark.parametrize(
    "settings",
    [
        {"listen": "8000"},
        {"listen": "127.0.0.1:http"},
        {"listen": "127.0.0.1:70000"},
        {"listen": "::1:8000"},
        {"keys": {"phone": {"key": ""}}},
        {"keys": {"phone": {"key": "a\nb"}}},
        {"keys": {"phone": {"key": "a", "roles": ["king"]}}},
    ],
)
def test_settings_are_checked(settings: Any) -> None:
    with pytest.raises(ValidationError):
        JotaHttp.Settings.model_validate(settings)
