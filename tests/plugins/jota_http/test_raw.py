"""The oldest addresses: raw text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

if TYPE_CHECKING:
    from tests.plugins.jota_http.conftest import Running


@pytest.mark.parametrize("path", ["/ws/chat/ana", "/api/v1/ws/chat/ana"])
async def test_answer_is_one_text_frame_for_each_token(door: Running, path: str) -> None:
    async with connect(door.ws + path) as app:
        await app.send("say Ho la , dime.")
        assert [await app.recv() for _ in range(4)] == ["Ho", "la", ",", "dime."]
    assert door.host.opened[0].principal.id == "ana"


async def test_conversation_is_not_opened_before_it_is_needed(door: Running) -> None:
    async with connect(door.ws + "/ws/chat/ana"):
        assert door.host.opened[0].conversation is None


async def test_json_is_text_like_any_other(door: Running) -> None:
    async with connect(door.ws + "/ws/chat/ana") as app:
        await app.send('{"type":"cancel"}')
        assert await app.recv() == '{"type":"cancel"}'


@pytest.mark.parametrize(
    ("prompt", "reason"), [("fail", "No backend is there."), (" ", "The message is empty")]
)
async def test_errors_are_words(door: Running, prompt: str, reason: str) -> None:
    async with connect(door.ws + "/ws/chat/ana") as app:
        await app.send(prompt)
        assert str(await app.recv()).startswith(f" [Error: {reason}")
        await app.send("say on")
        assert await app.recv() == "on"


async def test_binary_is_refused_in_words(door: Running) -> None:
    async with connect(door.ws + "/ws/chat/ana") as app:
        await app.send(b"\x00\x01")
        assert str(await app.recv()).startswith(" [Error: Binary")


async def test_frames_on_request(door: Running) -> None:
    async with connect(door.ws + "/ws/chat/ana?frames=json") as app:
        assert '"type":"session"' in await app.recv()


@pytest.mark.parametrize("user", ["a%2Fb", "a%0Ab", "x" * 129])
async def test_user_ids_are_checked(door: Running, user: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(door.ws + f"/ws/chat/{user}")
    assert refused.value.response.status_code == 422
