"""The engine through an Inference Center: one connection, one session for each generation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import aiohttp
import orjson

from .direct import messages
from .process import KEY

HEADERS = {"X-Client-ID": "bench", "X-API-Key": KEY}


class Center:
    """One Inference Center on this machine."""

    def __init__(self, port: int) -> None:
        self._url = f"ws://127.0.0.1:{port}"

    def together(self, texts: Sequence[str], tokens: int) -> float:
        """Tokens a second of one generation for each text, all at once."""
        return asyncio.run(self._together(texts, tokens))

    async def _together(self, texts: Sequence[str], tokens: int) -> float:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(self._url, headers=HEADERS, max_msg_size=0) as socket,
        ):
            await _until(socket, "auth_success", 1)
            for _ in texts:
                await _send(socket, op="create_session")
            sessions = [frame["session_id"] for frame in await _until(socket, "session_created", len(texts))]
            began = perf_counter()
            for session, text in zip(sessions, texts, strict=True):
                await _ask(socket, session, text, tokens)
            ends = await _until(socket, "end", len(texts))
            generated = sum(int(end["stats"]["tokens"]) for end in ends)
            return generated / (perf_counter() - began)


async def _ask(socket: aiohttp.ClientWebSocketResponse, session: str, text: str, tokens: int) -> None:
    """The same prompt that `direct` asks the engine for."""
    system, user = messages(text)
    await _send(socket, op="set_context", session_id=session, context={"messages": [system]})
    params = {"temp": 0, "max_tokens": tokens}
    await _send(socket, op="infer", session_id=session, prompt=user["content"], params=params)


async def _send(socket: aiohttp.ClientWebSocketResponse, **frame: object) -> None:
    await socket.send_str(orjson.dumps(frame).decode())


async def _until(socket: aiohttp.ClientWebSocketResponse, op: str, count: int) -> list[dict[str, Any]]:
    """So many frames of one kind. Raises `RuntimeError` for an error."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        frame = orjson.loads(await socket.receive_str(timeout=120))
        if str(frame["op"]).endswith("error"):
            raise RuntimeError(str(frame))
        if frame["op"] == op:
            found.append(frame)
    return found
