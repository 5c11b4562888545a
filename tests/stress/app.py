"""An app with typed frames that remembers everything it was sent, and when."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Self

import aiohttp

from benchmarks.process import KEY, Server

HEADERS = {"x-client-key": KEY}
LIMIT_S = 30.0


@dataclass
class Heard:
    """One turn as the app has seen it."""

    prompt: str
    turn: dict[str, Any] | None = None
    tokens: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    end: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        """What the user has read."""
        return "".join(self.tokens)

    def widest_gap_s(self) -> float:
        """Longest wait between two tokens."""
        return max(b - a for a, b in zip(self.times, self.times[1:], strict=False))


def scripted(count: int, word: str = "w") -> str:
    """What the scripted backend says in `count` tokens."""
    return "".join(f" {word}{index}" for index in range(count))


class App:
    """One user's WebSocket; `async with App.of(...)` connects it."""

    def __init__(self, http: aiohttp.ClientSession, server: Server, user: str) -> None:
        self.user = user
        self.conversation_id = 0
        self.after_end: list[dict[str, Any]] = []
        """Frames that came when nothing was owed."""
        self._http = http
        self._base = f"http://127.0.0.1:{server.port}"

    async def __aenter__(self) -> Self:
        url = f"{self._base}/api/v1/ws/chat/{self.user}?frames=json"
        self.socket = await self._http.ws_connect(url, headers=HEADERS)
        self.conversation_id = (await self.frame())["conversation_id"]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()

    async def frame(self, limit_s: float = LIMIT_S) -> dict[str, Any]:
        """The next frame. Raises `ConnectionError` when the socket is closed."""
        message = await self.socket.receive(limit_s)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(f"{message.type.name} {message.data!r}")
        frame: dict[str, Any] = json.loads(message.data)
        return frame

    async def ask(
        self, prompt: str, heard: Heard | None = None, options: dict[str, Any] | None = None
    ) -> Heard:
        """Ask and hear the whole answer; `heard` keeps what came even if the host dies."""
        heard = heard or Heard(prompt)
        await self.socket.send_json({"type": "prompt", "text": prompt, "options": options or {}})
        while heard.end is None:
            frame = await self.frame()
            if frame["type"] == "turn":
                assert heard.turn is None
                heard.turn = frame
            elif frame["type"] == "token":
                assert heard.turn is not None and frame["turn_id"] == heard.turn["turn_id"]
                heard.tokens.append(frame["content"])
                heard.times.append(monotonic())
            elif frame["type"] in ("end", "error", "aborted"):
                heard.end = frame
        return heard

    async def nothing_more(self, wait_s: float) -> bool:
        """Whether no frame comes for a while."""
        try:
            await self.frame(wait_s)
        except TimeoutError:
            return True
        return False

    async def stored(self, limit: int = 200) -> list[dict[str, Any]]:
        """The messages of the app's conversation, oldest first."""
        url = f"{self._base}/api/v1/conversations/{self.conversation_id}/messages"
        query = {"user_id": self.user, "limit": str(limit)}
        async with self._http.get(url, params=query, headers=HEADERS) as answer:
            assert answer.status == 200, await answer.text()
            found: list[dict[str, Any]] = (await answer.json())["messages"]
            return found


async def gauge(http: aiohttp.ClientSession, server: Server, name: str) -> float:
    """One meter of `/metrics`, all labels together."""
    async with http.get(f"http://127.0.0.1:{server.port}/metrics", headers=HEADERS) as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


async def sessions_become(http: aiohttp.ClientSession, server: Server, count: int) -> bool:
    """Whether so many sessions are open within five seconds."""
    for _ in range(50):
        if await gauge(http, server, "jota_sessions") == count:
            return True
        await asyncio.sleep(0.1)
    return False


async def until(condition: Any, limit_s: float = 10.0) -> bool:
    """Whether a condition comes true within the limit."""
    ends = monotonic() + limit_s
    while not condition():
        if monotonic() > ends:
            return False
        await asyncio.sleep(0.05)
    return True
