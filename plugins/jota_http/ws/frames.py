"""What goes out over a WebSocket: typed JSON frames, or raw text for the oldest apps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Any

import orjson

from jota_core.api import Code, JotaError, Session, TurnBegan, TurnEnded

PROTO = 2


def end_frame(ended: TurnEnded, asked: object = None) -> dict[str, Any]:
    """The last frame of a turn: `end`, `aborted` or `error`."""
    frame: dict[str, Any] = {
        "type": "end",
        "turn_id": ended.turn_id,
        "conversation_id": ended.conversation_id,
        "message_id": ended.message_id,
        "outcome": ended.outcome,
        "persisted": ended.persisted,
        "stats": asdict(ended.stats),
    }
    if ended.error is not None:
        frame["type"] = "aborted" if ended.error.code is Code.CANCELLED else "error"
        frame |= {"code": ended.error.code, "retry_after_s": ended.error.retry_after_s}
        frame |= {"message": ended.error.sentence, "content": ended.error.sentence}
    return named(frame, asked)


def began_frame(began: TurnBegan, asked: object = None) -> dict[str, Any]:
    """The first frame of a turn."""
    return named({"type": "turn", **asdict(began)}, asked)


def error_frame(error: JotaError, asked: object = None) -> dict[str, Any]:
    """Something was refused before it became a turn; older apps read `content`, newer ones `message`."""
    frame = {"type": "error", "code": error.code, "message": error.sentence, "content": error.sentence}
    return named(frame | {"retry_after_s": error.retry_after_s, "turn_id": None}, asked)


def named(frame: dict[str, Any], asked: object) -> dict[str, Any]:
    """Give the app its own id of the prompt back."""
    if asked is not None:
        frame["id"] = asked
    return frame


def token_prefix(turn_id: str) -> bytes:
    """Everything of a token frame before its text; `}` follows the text."""
    return orjson.dumps({"type": "token", "turn_id": turn_id})[:-1] + b',"content":'


class Style(ABC):
    """How one app wants to be talked to; an empty frame is not sent."""

    __slots__ = ()
    takes_controls: bool
    """Whether JSON objects with a `type` are control frames."""

    @abstractmethod
    def token(self, text: str) -> bytes: ...

    @abstractmethod
    def frame(self, frame: dict[str, Any]) -> bytes: ...

    @abstractmethod
    def began(self, began: TurnBegan, asked: object) -> bytes: ...

    def opened(self, session: Session) -> bytes:
        """Who is talking about what."""
        frame = {"type": "session", "conversation_id": session.conversation_id, "session_id": session.id}
        return self.frame(frame | {"user_id": session.principal.id, "proto": PROTO})


class JsonStyle(Style):
    """Typed frames."""

    __slots__ = ("_prefix",)
    takes_controls = True

    def __init__(self) -> None:
        self._prefix = b""

    def token(self, text: str) -> bytes:
        return self._prefix + orjson.dumps(text) + b"}"

    def frame(self, frame: dict[str, Any]) -> bytes:
        return orjson.dumps(frame)

    def began(self, began: TurnBegan, asked: object) -> bytes:
        self._prefix = token_prefix(began.turn_id)
        return orjson.dumps(began_frame(began, asked))


class RawStyle(Style):
    """The words of the answer and nothing else; errors are words as well."""

    __slots__ = ()
    takes_controls = False

    def token(self, text: str) -> bytes:
        return text.encode()

    def frame(self, frame: dict[str, Any]) -> bytes:
        return f" [Error: {frame['message']}]".encode() if "code" in frame else b""

    def began(self, began: TurnBegan, asked: object) -> bytes:
        return b""
