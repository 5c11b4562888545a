"""Chat in one request, conversations and models."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import pytest

if TYPE_CHECKING:
    from tests.plugins.jota_http.conftest import OpenDoor, Running


@pytest.fixture
async def http(door: Running) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(door.url) as http:
        yield http


async def test_whole_answer(http: aiohttp.ClientSession) -> None:
    async with http.post("/api/v1/chat", json={"user_id": "ana", "text": "say a b"}) as answer:
        assert answer.status == 200
        told = await answer.json()
    assert (told["status"], told["response"], told["outcome"]) == ("success", "ab", "complete")
    assert (told["conversation_id"], told["message_id"], told["persisted"]) == (1, "answer", True)
    assert told["stats"]["tokens"] == 2


async def test_user_and_model_are_passed_on(door: Running, http: aiohttp.ClientSession) -> None:
    await http.post("/api/v1/chat", json={"text": "say a", "model_id": "good"})
    await http.post("/api/v1/chat", json={"text": "say a", "user_id": "ana", "new": True})
    first, second = door.host.opened
    assert first.principal.id == "api_user"
    assert first.prompts[0][1].model == "good"
    assert second.principal.id == "ana"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_request"),
        (b'{"a":' * 5000, 400, "invalid_request"),
        (b"\xff", 400, "invalid_request"),
        (b"{}", 422, "invalid_request"),
        (b"[]", 422, "invalid_request"),
        (b'{"text":5}', 422, "invalid_request"),
        (b'{"text":""}', 422, "invalid_request"),
        (b'{"text":"a","user_id":"a/b"}', 422, "invalid_request"),
        (b'{"text":"a","conversation_id":99}', 404, "not_found"),
        (b'{"text":"' + b"x" * 300_000 + b'"}', 413, "too_large"),
        (b'{"text":"' + b"x" * 10_000_000 + b'"}', 413, "too_large"),
        (b'{"text":"fail"}', 503, "backend_unavailable"),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_errors_have_a_status_a_code_and_a_sentence(
    http: aiohttp.ClientSession, body: bytes, status: int, code: Any
) -> None:
    async with http.post("/api/v1/chat", data=io.BytesIO(body)) as answer:
        assert answer.status == status
        told = await answer.json()
    assert (told["status"], told["code"]) == ("error", code)
    assert told["message"].endswith(".")


async def test_retry_after_is_a_header_as_well(http: aiohttp.ClientSession) -> None:
    async with http.post("/api/v1/chat", json={"text": "fail"}) as answer:
        assert answer.headers["Retry-After"] == "2"
        assert (await answer.json())["retry_after_s"] == 2.0


async def test_first_days_shape(http: aiohttp.ClientSession) -> None:
    async with http.post("/chat", json={"text": "say a"}) as answer:
        assert (await answer.json())["response"] == "a"
    async with http.post("/chat", json={"text": "fail"}) as answer:
        told = await answer.json()
        assert answer.status == 200
        assert (told["status"], told["response"]) == ("success", " [Error: No backend is there.]")
    async with http.post("/chat", json={"user_id": "a"}) as answer:
        assert answer.status == 422


@pytest.mark.parametrize("path", ["/chat", "/api/v1/chat"])
async def test_events(http: aiohttp.ClientSession, path: str) -> None:
    async with http.post(path, json={"text": "say a ñ", "stream": True}) as answer:
        assert answer.content_type == "text/event-stream"
        events = (await answer.text()).strip().split("\n\n")
    frames = [json.loads(event.removeprefix("data: ")) for event in events]
    assert [frame["type"] for frame in frames] == ["turn", "token", "token", "end"]
    assert frames[2]["content"] == "ñ"


@pytest.mark.parametrize("stream", [False, True])
async def test_app_that_goes_away_ends_its_turn(
    door: Running, http: aiohttp.ClientSession, stream: bool
) -> None:
    asking = asyncio.create_task(http.post("/api/v1/chat", json={"text": "stay", "stream": stream}))
    async with asyncio.timeout(2):
        while not door.host.opened or not door.host.opened[0].prompts:
            await asyncio.sleep(0.01)
    gone = asyncio.get_running_loop().time()
    if stream:
        (await asking).close()
    else:
        asking.cancel()
    assert await door.session_closed() - gone < 0.25


async def test_event_reader_that_does_not_read_is_cut(open_door: OpenDoor) -> None:
    async with open_door(slow_s=0.3) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=1024)
        cast(asyncio.Transport, writer.transport).pause_reading()
        body = json.dumps({"text": "flood 100000", "stream": True}).encode()
        head = f"POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        writer.write(head + body)
        await door.session_closed(within_s=5)
        writer.transport.abort()
        del reader


async def test_conversations_and_messages_of_an_owner(http: aiohttp.ClientSession) -> None:
    for user in ("ana", "ana", "eva"):
        await http.post("/api/v1/chat", json={"text": "say a", "user_id": user, "new": True})
    async with http.get("/api/v1/conversations?user_id=ana&limit=1&offset=1") as answer:
        [conversation] = (await answer.json())["conversations"]
    assert conversation["id"] == 2
    assert conversation["created_at"].startswith("2026-01-02T03:04:05")
    async with http.get("/api/v1/conversations/2/messages?user_id=ana") as answer:
        [message] = (await answer.json())["messages"]
    assert message["content"] == "hola"
    assert "secret" not in str(message)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/conversations/1/messages?user_id=eva"),
        ("DELETE", "/api/v1/conversations/1?user_id=eva"),
        ("PATCH", "/api/v1/conversations/1/model"),
        ("DELETE", "/api/v1/conversations/nothing"),
    ],
)
async def test_other_peoples_conversations_are_not_found(
    http: aiohttp.ClientSession, method: str, path: str
) -> None:
    await http.post("/api/v1/chat", json={"text": "say a", "user_id": "ana", "new": True})
    async with http.request(method, path, json={"model_id": "good", "user_id": "eva"}) as answer:
        assert answer.status == 404


async def test_delete_and_switch_model(http: aiohttp.ClientSession) -> None:
    await http.post("/api/v1/chat", json={"text": "say a", "user_id": "ana", "new": True})
    async with http.patch(
        "/api/v1/conversations/1/model", json={"model_id": "good", "user_id": "ana"}
    ) as answer:
        assert await answer.json() == {"status": "success", "model_id": "good"}
    async with http.patch(
        "/api/v1/conversations/1/model", json={"model_id": "bad", "user_id": "ana"}
    ) as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "model_not_found")
    async with http.delete("/api/v1/conversations/1?user_id=ana") as answer:
        assert answer.status == 200
    async with http.get("/api/v1/conversations?user_id=ana") as answer:
        assert (await answer.json())["conversations"] == []


async def test_models(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v1/models") as answer:
        assert (await answer.json())["models"][0]["id"] == "good"


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "offset=1e3"])
async def test_numbers_are_checked(http: aiohttp.ClientSession, query: str) -> None:
    async with http.get(f"/api/v1/conversations?{query}") as answer:
        assert answer.status == 422


async def test_memory_down_is_503(door: Running, http: aiohttp.ClientSession) -> None:
    door.host.memory_is_down = True
    async with http.get("/api/v1/conversations") as answer:
        assert (answer.status, (await answer.json())["code"]) == (503, "memory_unavailable")


async def test_failures_nobody_foresaw_show_no_details(
    door: Running,
    http: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(door.host, "models", None)
    async with http.get("/api/v1/models?client_key=topsecret") as answer:
        told = await answer.text()
    assert answer.status == 500
    assert "NoneType" not in told
    assert "topsecret" not in caplog.text
    assert "NoneType" in caplog.text
