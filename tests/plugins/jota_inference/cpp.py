"""The C++ Inference Center, scripted: it cannot be had here, so its wire is played as it is documented.

Frames over 16 KiB cut the connection, nothing is announced but `max_sessions`, sessions are told by texts.
A test changes what it wants by putting its own answer into `on`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from jota_core.testing import free_port

Frame = dict[str, Any]
Answer = Callable[["CppCenter", Frame], Awaitable[None]]


class CppCenter:
    """One center with at most one connection at a time."""

    def __init__(self, max_sessions: int = 4, *, seed: bool = False) -> None:
        self.port = free_port()
        self.on: dict[str, Answer] = {}
        """Answers by operation, in place of the usual ones."""
        self.got: list[Frame] = []
        self.connects = 0
        self.say = ["Hello", " there", "."]
        """The tokens of each answer."""
        self.model = "llama"
        self._max_sessions = max_sessions
        self._seed = seed
        self._made = 0
        self._socket: ServerConnection | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/inference"

    def asked(self, op: str) -> list[Frame]:
        """Everything that came of one operation."""
        return [frame for frame in self.got if frame["op"] == op]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[CppCenter]:
        async with serve(self._attend, "127.0.0.1", self.port, max_size=16 * 1024, compression=None):
            yield self

    async def send(self, **members: Any) -> None:
        await self.send_text(json.dumps(members))

    async def send_text(self, text: str) -> None:
        assert self._socket is not None
        await self._socket.send(text)

    async def cut(self) -> None:
        """Reset the connection."""
        assert self._socket is not None
        self._socket.transport.abort()

    async def token(self, session_id: str, content: str, **members: Any) -> None:
        await self.send(op="token", session_id=session_id, content=content, **members)

    async def answer(self, frame: Frame) -> None:
        """A whole answer to an `infer`."""
        model = {} if self._seed else {"model_id": self.model, "type": "content"}
        for text in self.say:
            await self.token(frame["session_id"], text, **model)
        await self.send(op="end", session_id=frame["session_id"])

    async def _attend(self, socket: ServerConnection) -> None:
        self._socket = socket
        self.connects += 1
        if self._seed:
            await self.send(op="hello", status="ready", message="Please authenticate with AUTH operation")
        else:
            await self._welcome({})
        try:
            async for text in socket:
                await self._received(json.loads(text))
        except ConnectionClosed:
            pass

    async def _received(self, frame: Frame) -> None:
        self.got.append(frame)
        if frame["op"] in self.on:
            await self.on[frame["op"]](self, frame)
        else:
            await self._usual(frame)

    async def _usual(self, frame: Frame) -> None:
        answers: dict[str, Callable[[Frame], Awaitable[None]]] = {
            "auth": self._welcome,
            "create_session": self._create,
            "set_context": lambda f: self.send(op="context_set", session_id=f["session_id"]),
            "infer": self.answer,
            "abort": self._abort,
            "close_session": lambda f: self.send(op="session_closed", session_id=f["session_id"]),
            "COMMAND_LIST_MODELS": lambda _: self.send(
                op="list_models_result", status="SUCCESS", models=[{"id": "llama", "name": "Llama", "context_window": 8192}]
            ),
            "COMMAND_LOAD_MODEL": lambda _: self.send(op="load_model_result", status="SUCCESS"),
        }  # fmt: skip
        await answers[frame["op"]](frame)

    async def _welcome(self, _: Frame) -> None:
        await self.send(op="auth_success", client_id="orch-1", max_sessions=self._max_sessions)

    async def _create(self, _: Frame) -> None:
        self._made += 1
        await self.send(op="session_created", session_id=f"sess_{self._made:08x}_0000", model_id=self.model)

    async def _abort(self, frame: Frame) -> None:
        await self.send(op="abort", session_id=frame["session_id"], status="aborted")
        await self.send(op="end", session_id=frame["session_id"])


async def never(center: CppCenter, frame: Frame) -> None:
    """No answer at all."""


async def one_token(center: CppCenter, frame: Frame) -> None:
    """It begins, and goes on never."""
    await center.token(frame["session_id"], "One", type="content")


async def refuse(center: CppCenter, frame: Frame) -> None:
    """What the C++ center says of an operation that it does not know."""
    await center.send(op="error", error=f"Unknown operation: {frame['op']}")


def error(text: str, *, with_session: bool = True, op: str = "error") -> Answer:
    """Answer with an error."""

    async def told(center: CppCenter, frame: Frame) -> None:
        session = {"session_id": frame["session_id"]} if with_session else {}
        await center.send(op=op, error=text, **session)

    return told


def wait_for(event: asyncio.Event) -> Answer:
    """One token, and the rest once the event is set."""

    async def told(center: CppCenter, frame: Frame) -> None:
        await center.token(frame["session_id"], "One", type="content")
        asyncio.get_running_loop().create_task(later(center, frame))

    async def later(center: CppCenter, frame: Frame) -> None:
        await event.wait()
        await center.answer(frame)

    return told
