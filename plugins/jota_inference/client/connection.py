"""One connection to a center, from its greeting to its loss, and everything that is under way on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from websockets.exceptions import ConnectionClosed

from jota_core.api import BackendError, Code, TaskOwner

from ..wire import CPP_FRAME, LIST, LOAD, UNLOAD, frame
from .errors import LOST, NO_CONTEXT, Frame, error_of, lost, text_of
from .pool import Pool
from .questions import Questions
from .settings import InferenceSettings
from .socket import PushConnection

log = logging.getLogger(__name__)

SEND_S = 10.0
"""A center that does not read for so long is lost."""
ANSWERS = {
    "session_error": "create_session",
    "context_error": "set_context",
    "session_closed": "close_session",
    "abort": "abort",
    "list_models_result": LIST,
    "LIST_MODELS_RESULT": LIST,
    "load_model_result": LOAD,
    "LOAD_MODEL_RESULT": LOAD,
    "unload_model_result": UNLOAD,
    "token_counts": "count_tokens",
}
IGNORED = {"hello", "auth_success", "auth_failed", "metrics", "metrics_subscribed", "metrics_unsubscribed"}


@dataclass(frozen=True, slots=True)
class Peer:
    """What the center said of itself in `auth_success`."""

    max_sessions: int = 1
    frame_bytes: int = CPP_FRAME
    features: frozenset[str] = frozenset()

    @classmethod
    def of(cls, welcome: Frame) -> Peer:
        """Whatever is missing or strange is taken as the C++ center has it."""
        most, size, features = (welcome.get(name) for name in ("max_sessions", "max_frame_bytes", "features"))
        return cls(
            most if isinstance(most, int) and most > 0 else 1,
            size if isinstance(size, int) and size >= CPP_FRAME else CPP_FRAME,
            frozenset(map(str, features)) if isinstance(features, list) else frozenset(),
        )


class Connection:
    """Sends operations and brings every frame to whom it belongs."""

    def __init__(
        self, socket: PushConnection, peer: Peer, settings: InferenceSettings, tasks: TaskOwner
    ) -> None:
        self.peer = peer
        self.takes_context = True
        """Centers of the seed's time know no `set_context`."""
        self.sets_context = False
        """It has answered a `set_context`: from then on that answer divides one prompt from the next."""
        self.strays = 0
        """Frames that belonged to nobody."""
        self.pool = Pool(peer.max_sessions, settings, self, tasks)
        self.questions = Questions()
        self._socket = socket
        socket.on_text = self.received

    async def until_lost(self) -> str:
        """Wait for its end and tell everybody; returns why, for people."""
        try:
            await self._socket.wait_closed()
        finally:
            self.questions.lose()
            self.pool.lose()
        return self._socket.close_reason or "the connection ended"

    def cut(self) -> None:
        """Give it up at once."""
        self._socket.transport.abort()

    async def send(self, op: str, **members: Any) -> None:
        """One operation. Raises `BackendError` (`upstream_lost`)."""
        await self.send_text(frame(op=op, **members))

    async def send_text(self, text: str) -> None:
        """One frame. Raises `BackendError` (`upstream_lost`)."""
        try:
            async with asyncio.timeout(SEND_S):
                await self._socket.send(text)
        except TimeoutError:
            self.cut()
            raise lost() from None
        except ConnectionClosed:
            raise lost() from None

    async def ask(self, op: str, session_id: str | None = None, *, limit_s: float, **members: Any) -> Frame:
        """Send an operation and wait for its answer. Raises `BackendError`."""
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()

        def tell(told: Frame) -> bool:
            if not answer.done():
                answer.set_result(told)
            return True

        question = self.questions.add(op, session_id, tell)
        try:
            await self.send(op, **({"session_id": session_id} if session_id else {}), **members)
            async with asyncio.timeout(limit_s):
                told = await answer
        except TimeoutError:
            sentence = f"The Inference Center did not answer {op} within {limit_s:g} s."
            raise BackendError(Code.ENGINE_BUSY, sentence, 5.0) from None
        finally:
            self.questions.forget(question)
        if told is LOST or str(told.get("op")).endswith("error"):
            raise error_of(told)
        return told

    async def post(self, op: str, session_id: str, tell: Callable[[Frame], bool]) -> None:
        """Send an operation; `tell` hears the answer. Never raises: who is lost is told so."""
        self.questions.add(op, session_id, tell)
        try:
            await self.send(op, session_id=session_id)
        except BackendError:
            pass  # everything on this connection hears of it

    def received(self, text: bytes) -> None:
        """One frame from the center."""
        try:
            told = orjson.loads(text)
        except orjson.JSONDecodeError:
            told = None
        op = told.get("op") if isinstance(told, dict) else None
        if op in ("token", "end"):
            known = self._of_session(told)
        else:
            known = isinstance(op, str) and self._other(op, told)
        if not known:
            self._stray(op)

    def _of_session(self, told: Frame) -> bool:
        session_id = told.get("session_id")
        session = self.pool.sessions.get(session_id) if isinstance(session_id, str) else None
        return session is not None and session.take(told)

    def _other(self, op: str, told: Frame) -> bool:
        if op == "error":
            return self._error(told)
        if op == "session_created":
            adopted = self.pool.adopt(told)
            return self.questions.answer("create_session", told) or adopted
        if op == "context_set":
            return self._context_set(told)
        if op in ANSWERS:
            return self.questions.answer(ANSWERS[op], told)
        return op in IGNORED

    def _error(self, told: Frame) -> bool:
        """For its session when it names one, else for the oldest question that may have brought it."""
        if told.get("session_id") is not None:
            return self._of_session(told) or self.questions.blame(told)
        if text_of(told) == NO_CONTEXT:
            self.takes_context = False
        return self.questions.blame(told)

    def _context_set(self, told: Frame) -> bool:
        self.sets_context = True
        session_id = told.get("session_id")
        session = self.pool.sessions.get(session_id) if isinstance(session_id, str) else None
        if session is not None:
            session.context_set()
        return self.questions.answer("set_context", told)

    def _stray(self, op: object) -> None:
        self.strays += 1
        if self.strays & (self.strays - 1) == 0:  # the 1st, 2nd, 4th, 8th …
            log.warning("A frame of the Inference Center (%r) belongs to nobody; %d so far.", op, self.strays)
