"""The door in a real host: real memory, real turns, a scripted backend."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from jota_core.testing import RunHost, Script, ScriptedBackend, free_port

LONG = Script(["word "] * 5000, between_s=0.01)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def config(port: int) -> dict[str, Any]:
    return {"plugins": {"llm": {}, "app": {"plugin": "jota_http", "listen": f"127.0.0.1:{port}"}}}


async def frames_until(app: ClientConnection, *kinds: str) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while not frames or frames[-1]["type"] not in kinds:
            frames.append(json.loads(await app.recv()))
    return frames


async def test_one_conversation_over_websocket_and_rest(
    run_host: RunHost, config: dict[str, Any], port: int
) -> None:
    llm = ScriptedBackend("Hello there.", "Again hello.")
    async with run_host(config, plugins={"llm": llm}):
        async with connect(f"ws://127.0.0.1:{port}/api/v1/ws/chat/ana?frames=json") as app:
            await app.send("The boiler code is 4711")
            session, turn, *tokens, end = await frames_until(app, "end")
        assert session["conversation_id"] == end["conversation_id"]
        assert turn["conversation_id"] == end["conversation_id"]
        assert "".join(frame["content"] for frame in tokens) == "Hello there."
        assert end["persisted"]
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            async with http.post("/api/v1/chat", json={"user_id": "ana", "text": "And now?"}) as answer:
                told = await answer.json()
            path = f"/api/v1/conversations/{told['conversation_id']}/messages?user_id=ana"
            async with http.get(path) as answer:
                messages = (await answer.json())["messages"]
            async with http.get("/health") as answer:
                health = await answer.json()
    assert (told["response"], told["conversation_id"]) == ("Again hello.", end["conversation_id"])
    assert "4711" in str(llm.requests[1].messages)
    assert [message["content"] for message in messages][::2] == ["The boiler code is 4711", "And now?"]
    assert health["components"] == {"inference_engine": "connected", "jota_db": "connected"}


@pytest.mark.parametrize("path", ["/ws/chat/ana", "/api/chat/ws/ana"])
async def test_app_that_vanishes_aborts_the_generation(
    run_host: RunHost, config: dict[str, Any], port: int, path: str
) -> None:
    llm = ScriptedBackend(LONG)
    async with run_host(config, plugins={"llm": llm}):
        app = await connect(f"ws://127.0.0.1:{port}{path}")
        await app.send("Tell me everything")
        await app.recv()
        await llm.until_running()
        gone = asyncio.get_running_loop().time()
        app.transport.abort()
        await llm.until_aborted()
        assert asyncio.get_running_loop().time() - gone < 0.25
        await app.wait_closed()


async def test_backend_that_fails_is_told(run_host: RunHost, config: dict[str, Any], port: int) -> None:
    llm = ScriptedBackend(Script("one two", fail_at=1), "fine")
    url = f"ws://127.0.0.1:{port}/api/chat/ws/ana"
    async with run_host(config, plugins={"llm": llm}), connect(url) as app:
        await app.send("Hello")
        *_, error = await frames_until(app, "error")
        assert (error["code"], error["outcome"]) == ("upstream_lost", "interrupted")
        await app.send("Hello again")
        *_, end = await frames_until(app, "end")
        assert end["outcome"] == "complete"


async def test_stopping_mid_answer_tells_and_keeps(
    run_host: RunHost, config: dict[str, Any], port: int
) -> None:
    config["host"] = {"drain_s": 0.3}
    async with run_host(config, plugins={"llm": ScriptedBackend(LONG)}):
        app = await connect(f"ws://127.0.0.1:{port}/api/chat/ws/ana")
        await app.send("Tell me everything")
        await frames_until(app, "token")
    *_, error = await frames_until(app, "error")
    assert (error["code"], error["outcome"], error["persisted"]) == ("server_restart", "interrupted", True)
    with pytest.raises(ConnectionClosed) as closed:
        await app.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


async def test_stopping_with_idle_sockets_is_quick(
    run_host: RunHost, config: dict[str, Any], port: int
) -> None:
    async with run_host(config, plugins={"llm": ScriptedBackend()}):
        apps = [await connect(f"ws://127.0.0.1:{port}/ws/chat/u{number}") for number in range(50)]
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 2
    for app in apps:
        await app.wait_closed()
