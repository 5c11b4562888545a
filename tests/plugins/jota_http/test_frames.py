"""Typed frames."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from jota_core.api import ReminderDue

if TYPE_CHECKING:
    from tests.plugins.jota_http.conftest import Running


async def until(app: ClientConnection, *kinds: str) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = []
    async with asyncio.timeout(5):
        while not frames or frames[-1]["type"] not in kinds:
            frames.append(json.loads(await app.recv()))
    return frames


@pytest.fixture
async def app(door: Running) -> AsyncIterator[ClientConnection]:
    async with connect(door.ws + "/api/chat/ws/ana") as app:
        await app.recv()
        yield app


async def test_session_frame_comes_first(door: Running) -> None:
    async with connect(door.ws + "/api/chat/ws?user_id=eva") as app:
        session = json.loads(await app.recv())
    assert session == {
        "type": "session",
        "conversation_id": 1,
        "session_id": door.host.opened[0].id,
        "user_id": "eva",
        "proto": 2,
    }


async def test_a_reminder_reaches_its_owner_and_nobody_else(door: Running) -> None:
    at = datetime(2026, 12, 1, 20, tzinfo=UTC)
    async with (
        connect(door.ws + "/api/chat/ws/ana") as ana,
        connect(door.ws + "/api/chat/ws/ben") as ben,
        connect(door.ws + "/ws/chat/ana") as raw,
    ):
        for app in (ana, ben):
            await app.recv()
        for owner in ("ana", None):
            door.context.observers[ReminderDue](ReminderDue(f"of {owner}", owner, "té", at))
        first, second = json.loads(await ana.recv()), json.loads(await ana.recv())
        told = {"type": "reminder", "content": "té", "at": "2026-12-01T20:00:00+00:00"}
        assert first == {**told, "reminder_id": "of ana"}
        assert second == json.loads(await ben.recv()) == {**told, "reminder_id": "of None"}
        await raw.send("hello")
        assert "reminder" not in str(await raw.recv())


async def test_default_user(door: Running) -> None:
    async with connect(door.ws + "/api/chat/ws") as app:
        assert json.loads(await app.recv())["user_id"] == "api_user"


async def test_turn_has_a_beginning_and_one_end(app: ClientConnection) -> None:
    await app.send("say a ñ")
    turn, first, second, end = await until(app, "end")
    assert turn["type"] == "turn"
    assert (first["content"], second["content"]) == ("a", "ñ")
    assert {turn["turn_id"], first["turn_id"], end["turn_id"]} == {turn["turn_id"]}
    assert end["outcome"] == "complete"
    assert end["persisted"] is True
    assert end["stats"]["tokens"] == 2
    assert "id" not in end


async def test_own_id_comes_back(app: ClientConnection) -> None:
    await app.send(json.dumps({"type": "prompt", "id": 7, "text": "use lamp"}))
    frames = await until(app, "end")
    assert [frame["id"] for frame in frames if frame["type"] != "token"] == [7, 7, 7]


async def test_options_reach_the_turn(door: Running, app: ClientConnection) -> None:
    wishes = {
        "sampling": {"temperature": 0, "stop": ["."]},
        "json_schema": {"type": "object"},
        "use_tools": False,
    }
    await app.send(json.dumps({"type": "prompt", "text": "say a", "options": wishes}))
    await until(app, "end")
    _, options = door.host.opened[0].prompts[0]
    assert options.sampling.temperature == 0
    assert options.sampling.stop == (".",)
    assert options.constraint is not None
    assert options.constraint.kind == "json_schema"
    assert not options.use_tools


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"type": "foo"}, "Unknown control type: 'foo'"),
        ({"type": 5}, "Unknown control type: '5'"),
        ({"type": "prompt"}, "`text`"),
        ({"type": "prompt", "text": 5}, "`text`"),
        ({"type": "prompt", "text": "a", "options": {"sampling": {"temperature": 9}}}, "temperature"),
        ({"type": "prompt", "text": "a", "options": {"tempo": 9}}, "tempo"),
        ({"type": "prompt", "text": "a", "options": {"grammar": "x", "json_schema": {}}}, "not both"),
        ({"type": "prompt", "text": ""}, "empty"),
    ],
)
async def test_bad_frames_are_refused_and_the_socket_stays(
    app: ClientConnection, frame: dict[str, Any], words: str
) -> None:
    await app.send(json.dumps(frame))
    [refused] = await until(app, "error")
    assert refused["code"] == "invalid_request"
    assert words in refused["message"]
    assert refused["content"] == refused["message"]
    await app.send("say on")
    await until(app, "end")


@pytest.mark.parametrize("text", ["[1,2]", "5", '{"a":1}', "{broken", '{"a":' * 2000])
async def test_other_json_is_a_prompt(door: Running, app: ClientConnection, text: str) -> None:
    await app.send(text)
    await until(app, "end")
    assert door.host.opened[0].prompts[0][0] == text


async def test_cancel_ends_the_turn_as_aborted(app: ClientConnection) -> None:
    await app.send(json.dumps({"type": "prompt", "id": "mine", "text": "stay"}))
    await until(app, "turn")
    await app.send(json.dumps({"type": "cancel", "id": "mine"}))
    [aborted] = await until(app, "aborted")
    assert (aborted["code"], aborted["id"], aborted["outcome"]) == ("cancelled", "mine", "interrupted")
    await app.send(json.dumps({"type": "cancel"}))
    assert "nothing to cancel" in (await until(app, "status"))[0]["content"]


async def test_switching_models_keeps_the_order(door: Running, app: ClientConnection) -> None:
    await app.send(json.dumps({"type": "switch_model", "model_id": "good"}))
    await app.send("say a")
    kinds = [frame["type"] for frame in await until(app, "end")]
    assert kinds == ["model_switched", "turn", "token", "end"]
    await app.send(json.dumps({"type": "switch_model", "model_id": "bad"}))
    assert (await until(app, "error"))[0]["code"] == "model_not_found"


async def test_model_in_the_address(door: Running) -> None:
    async with connect(door.ws + "/api/chat/ws/ana?model_id=good") as app:
        assert [frame["type"] for frame in await until(app, "model_switched")] == [
            "session",
            "model_switched",
        ]


async def test_prompts_are_answered_in_order_and_busy_beyond_the_limit(app: ClientConnection) -> None:
    for number in range(12):
        await app.send(json.dumps({"type": "prompt", "id": number, "text": f"say {number}"}))
    ends: list[int] = []
    busy: list[int] = []
    while len(ends) + len(busy) < 12:
        frame = json.loads(await app.recv())
        if frame["type"] == "end":
            ends.append(frame["id"])
        elif frame["type"] == "error":
            assert frame["code"] == "busy"
            busy.append(frame["id"])
    assert ends == sorted(ends)
    assert busy


@pytest.mark.parametrize(("query", "status"), [("conversation_id=99", 404), ("conversation_id=x", 404)])
async def test_foreign_conversations_are_not_found(door: Running, query: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{door.ws}/api/chat/ws/ana?{query}")
    assert refused.value.response.status_code == status


async def test_memory_down_is_told_apart_from_a_wrong_key(door: Running) -> None:
    door.host.memory_is_down = True
    with pytest.raises(InvalidStatus) as refused:
        await connect(door.ws + "/api/chat/ws/ana")
    assert refused.value.response.status_code == 503
    assert json.loads(refused.value.response.body)["code"] == "memory_unavailable"
    assert refused.value.response.headers["Retry-After"] == "1"


async def test_new_conversation_on_request(door: Running) -> None:
    for query, conversation in (("", 1), ("", 1), ("?new=1", 2), ("", 2), ("?conversation_id=1", 1)):
        async with connect(f"{door.ws}/api/chat/ws/ana{query}") as app:
            assert json.loads(await app.recv())["conversation_id"] == conversation
