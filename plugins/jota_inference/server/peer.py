"""One connection to the center: every operation, and who may do it."""

from __future__ import annotations

import asyncio
import secrets
from time import monotonic
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from jota_core.api import Principal, Refused, Sessions, TaskOwner

from ..wire import FEATURES, OUR_FRAME, frame
from .asking import Context, Infer
from .models import ModelOperations
from .session import CenterSession, TooMany

if TYPE_CHECKING:
    from .door import Center


class Peer:
    """Knows who is connected and what is theirs."""

    def __init__(self, center: Center, socket: ServerConnection, tasks: TaskOwner) -> None:
        self.principal: Principal | None = None
        self.sessions: dict[str, CenterSession] = {}
        self._center = center
        self._socket = socket
        self._tasks = tasks
        self._by_headers = False
        self._metrics: asyncio.Task[None] | None = None
        self._models = ModelOperations(center.sessions, self.send, tasks)

    @property
    def _host(self) -> Sessions:
        return self._center.sessions

    async def greet(self, principal: Principal | None) -> None:
        """Speak first: `auth_success` for a client known by its headers, else `hello`."""
        if principal is not None:
            self._by_headers = True
            await self._welcome(principal)
        else:
            await self.send(op="hello", status="ready", message="Please authenticate with AUTH operation")

    async def send(self, **members: Any) -> None:
        """One frame. Waits while the client is slow, which slows its generations down; never raises."""
        try:
            async with asyncio.timeout(self._center.settings.send_s):
                await self._socket.send(frame(**members))
        except TimeoutError:
            self._socket.transport.abort()  # it has not read for too long
        except ConnectionClosed:
            pass  # whoever reads from it notices, and ends everything that is theirs

    async def drain(self, limit_s: float) -> None:
        """Let running prompts end within the limit, then cut them and say why; new ones are refused."""
        await asyncio.gather(*(session.drain(limit_s) for session in list(self.sessions.values())))

    async def close(self) -> None:
        """The connection is gone: nothing is generated for it any more."""
        sessions, self.sessions = list(self.sessions.values()), {}
        await asyncio.gather(*(session.end() for session in sessions))

    async def received(self, text: str | bytes) -> None:
        """Do what a frame asks for."""
        try:
            asked = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            await self.send(op="error", error=f"Invalid JSON: {error}")
            return
        if not isinstance(asked, dict) or not isinstance(asked.get("op"), str):
            await self.send(op="error", error="Missing 'op' field")
            return
        try:
            await self._do(asked["op"], asked)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            await self.send(op="error", error=f"Error processing message: {where}: {first['msg']}")

    async def _do(self, op: str, asked: dict[str, Any]) -> None:
        if op == "hello":
            up = int(monotonic() - self._center.began)
            await self.send(op="hello", status="ready", message="Jota", uptime_seconds=up, requires_auth=True)
        elif op == "auth":
            await self._auth(asked)
        elif op in ("subscribe_metrics", "unsubscribe_metrics"):
            await self._subscribe(op)
        elif op not in self._operations and op not in self._models.operations:
            await self.send(op="error", error=f"Unknown operation: {op}")
        elif self.principal is None:
            await self._fail(op, "NOT_AUTHENTICATED")
        elif op in self._operations:
            await self._operations[op](self, asked)
        else:
            await self._models.operations[op](asked)

    async def _fail(self, op: str, error: str, **members: Any) -> None:
        reply = {"create_session": "session_error", "set_context": "context_error"}.get(op, "error")
        await self.send(op=reply, error=error, **members)

    async def _auth(self, asked: dict[str, Any]) -> None:
        if self._by_headers:
            reason = "Already authenticated via headers. AUTH operation is deprecated."
            await self.send(op="auth_failed", reason=reason)
            return
        client, key = asked.get("client_id"), asked.get("api_key")
        if not (isinstance(client, str) and isinstance(key, str) and client and key):
            await self.send(op="auth_failed", reason="Missing client_id or api_key")
            return
        try:
            principal = await self._center.identify(client, key, self._socket.remote_address[0])
        except Refused as refused:
            await self.send(op="auth_failed", reason=refused.sentence)
            return
        if principal is None:
            await self.send(op="auth_failed", reason="Invalid credentials")
        else:
            await self._welcome(principal)

    async def _welcome(self, principal: Principal) -> None:
        self.principal = principal
        await self.send(
            op="auth_success", client_id=principal.id, max_sessions=self._center.settings.max_sessions,
            max_frame_bytes=OUR_FRAME, features=FEATURES,
        )  # fmt: skip

    async def _create(self, _: dict[str, Any]) -> None:
        assert self.principal is not None
        full = self._center.live(self.principal.id) >= self._center.settings.max_sessions
        if full or self._center.draining:
            await self._fail("create_session", "SESSION_LIMIT_REACHED")
            return
        session_id = f"sess_{secrets.token_hex(4)}_{secrets.token_hex(2)}"
        session = CenterSession(session_id, self._host.inference, self.send, self._center.totals)
        self.sessions[session_id] = session
        session.start(self._tasks)
        await self.send(op="session_created", session_id=session_id, model_id=await self._loaded())

    async def _loaded(self) -> str | None:
        models = await self._host.models()
        return next((model.id for model in models if model.loaded), None)

    async def _set_context(self, asked: dict[str, Any]) -> None:
        session = await self._mine("set_context", asked)
        if session is not None:
            session.context = Context.model_validate(asked.get("context") or {}).messages
            await self.send(op="context_set", session_id=session.id)

    async def _infer(self, asked: dict[str, Any]) -> None:
        if not isinstance(asked.get("prompt"), str):
            await self._fail("infer", "MISSING_FIELDS")
            return
        session = await self._mine("infer", asked)
        if session is None:
            return
        try:
            session.submit(Infer.model_validate(asked))
        except TooMany:
            await self._fail("infer", "BUSY", session_id=session.id)

    async def _abort(self, asked: dict[str, Any]) -> None:
        session_id = asked.get("session_id")
        if not isinstance(session_id, str):
            await self._fail("abort", "MISSING_FIELDS")
            return
        session = self.sessions.get(session_id)
        status = "not_found" if session is None else "aborted"
        await self.send(op="abort", session_id=session_id, status=status)
        if session is not None:
            await session.abort()

    async def _close_session(self, asked: dict[str, Any]) -> None:
        session = await self._mine("close_session", asked)
        if session is not None:
            del self.sessions[session.id]
            await session.end()
            await self.send(op="session_closed", session_id=session.id)

    async def _mine(self, op: str, asked: dict[str, Any]) -> CenterSession | None:
        """The client's own session that a frame names; it is told when there is none."""
        session_id = asked.get("session_id")
        if not isinstance(session_id, str) or not session_id:
            await self._fail(op, "MISSING_FIELDS")
            return None
        session = self.sessions.get(session_id)
        if session is None:
            await self._fail(op, "SESSION_NOT_FOUND", session_id=session_id)
        return session

    async def _subscribe(self, op: str) -> None:
        if self.principal is None:
            await self.send(op="error", error="Not authenticated")
            return
        if self._metrics is not None:
            self._metrics.cancel()
            self._metrics = None
        if op == "subscribe_metrics":
            await self.send(op="metrics_subscribed", message="Subscribed to metrics updates")
            self._metrics = self._tasks.start("metrics", self._center.metrics.tell(self.send))
        else:
            await self.send(op="metrics_unsubscribed", message="Unsubscribed from metrics updates")

    _operations = {  # noqa: RUF012 - never changed
        "create_session": _create,
        "set_context": _set_context,
        "infer": _infer,
        "abort": _abort,
        "close_session": _close_session,
    }
