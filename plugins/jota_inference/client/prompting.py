"""One prompt in one session: sent, and its frames read up to the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from jota_core.api import GenerateRequest, Piece

from .composing import Prompt, Room, compose
from .connection import Connection
from .errors import NO_CONTEXT, NOT_FOUND, Frame, name_of, text_of
from .pieces import PieceMaker
from .session import FarSession


class Again(Exception):
    """Nothing was generated, and another try is worth it."""


async def answer(
    connection: Connection, session: FarSession, request: GenerateRequest, tokens: int
) -> AsyncGenerator[Piece, None]:
    """Stream one answer; `tokens` is what the center's context holds.

    Raises `BackendError`, or `Again` before the first piece.
    """
    peer = connection.peer
    counts = "count_tokens" in peer.features
    room = Room(peer.frame_bytes, None if counts else tokens, peer.features, connection.takes_context)
    asking = _Asking(connection, session, compose(request, session.id, room))
    maker = PieceMaker(most=request.sampling.max_tokens, constrained=request.constraint is not None)
    try:
        await asking.send()
        frames = await session.frames()
        _check(connection, session, frames[0])
        while True:
            for frame in frames:
                for piece in maker.make(frame):
                    yield piece
                if maker.whole:
                    return
            frames = await session.frames()
    finally:
        asking.forget()


class _Asking:
    """Both frames on their way, one behind the other; an error of either is an error of the prompt."""

    def __init__(self, connection: Connection, session: FarSession, prompt: Prompt) -> None:
        self._connection = connection
        self._session = session
        self._prompt = prompt
        add = connection.questions.add
        self._context = add("set_context", session.id, self._context_told)
        self._infer = add("infer", session.id, lambda frame: session.fail(frame, ends=True))

    async def send(self) -> None:
        """Raises `BackendError`."""
        self._session.begin(fenced=self._connection.sets_context)
        if self._connection.takes_context:
            await self._connection.send_text(self._prompt.context)
        await self._connection.send_text(self._prompt.infer)

    def forget(self) -> None:
        """Nobody waits any more."""
        self._connection.questions.forget(self._context)
        self._connection.questions.forget(self._infer)

    def _context_told(self, frame: Frame) -> bool:
        return frame.get("op") == "context_set" or self._session.fail(frame, ends=False)


def _check(connection: Connection, session: FarSession, frame: Frame) -> None:
    """Some errors say nothing about the prompt: the session was forgotten, or contexts are not known."""
    text = text_of(frame)
    if name_of(text) == NOT_FOUND:
        connection.pool.drop(session.id)
        raise Again
    if text == NO_CONTEXT:
        raise Again
