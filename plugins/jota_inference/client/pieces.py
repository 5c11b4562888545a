"""Frames of an answer to its pieces."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any, Literal

import orjson

from jota_core.api import BackendError, Code, Delta, Kind, Piece, Progress, TagSplitter, ToolCall, Usage

from .errors import Frame, error_of
from .session import OVERFLOW

LONGEST_CALL = 256 * 1024
"""Characters of a tool call; what is longer is none."""
FINISHES: dict[object, Literal["stop", "length", "tool_call"]] = {
    "length": "length",
    "tool_call": "tool_call",
}


class PieceMaker:
    """Turns the frames of one prompt into pieces; after its `Usage` nothing comes any more.

    The kind of a piece is the frame's `type`; without one tags in the text tell it.
    """

    __slots__ = ("_call", "_called", "_most", "_tags", "_tokens", "whole")

    def __init__(self, *, most: int | None, constrained: bool) -> None:
        self.whole = False
        """Whether the `end` has come."""
        self._most = most
        self._tokens = 0
        self._call = ""
        self._called = False
        self._tags = None if constrained else TagSplitter(calls=True)

    def make(self, frame: Frame) -> Iterator[Piece]:
        """The pieces of one frame. Raises `BackendError` for an error."""
        op = frame["op"]
        if op == "token":
            yield from self._token(frame.get("content"), frame.get("type"))
        elif op == "end":
            yield from self._end(frame)
        elif frame is OVERFLOW:
            raise BackendError(Code.SLOW_CONSUMER, "The answer was not read for too long and was cut.")
        else:
            raise error_of(frame)

    def _token(self, text: object, kind: object) -> Iterator[Piece]:
        if not isinstance(text, str) or not text:
            return
        self._tokens += 1
        if kind is not None or self._tags is None:
            yield from self._piece(kind, text)
        else:
            for found, part in self._tags.feed(text):
                yield from self._piece(found, part)

    def _piece(self, kind: object | Kind, text: str) -> Iterator[Piece]:
        if kind == "tool_call":
            yield from self._gather(text)
        else:
            yield Delta(text, "thought" if kind == "thought" else "content")

    def _gather(self, text: str) -> Iterator[Piece]:
        """A call may come in one frame or in many; it is whole when it is a JSON object."""
        self._call = (self._call + text)[-LONGEST_CALL:]
        call = _call(self._call) if text.rstrip().endswith("}") else None
        if call is None:
            yield Progress(0, 0)  # it is being written: no text to show, and no stall either
        else:
            self._call, self._called = "", True
            yield call

    def _end(self, frame: Frame) -> Iterator[Piece]:
        if self._tags is not None:
            for kind, part in self._tags.end():
                yield from self._piece(kind, part)
        self.whole = True
        yield self._usage(frame)

    def _usage(self, frame: Frame) -> Usage:
        """`stats` and `model_id` are optional."""
        stats, model = frame.get("stats"), frame.get("model_id")
        told = stats if isinstance(stats, dict) else {}
        tokens = _count(told.get("tokens")) or self._tokens
        finish = FINISHES.get(told.get("finish"), "stop")
        if self._called:
            finish = "tool_call"
        elif self._most and tokens >= self._most:
            finish = "length"
        return Usage(
            _count(told.get("prompt_tokens")), _count(told.get("cached_tokens")), tokens,
            model if isinstance(model, str) else None, finish,
        )  # fmt: skip


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _call(text: str) -> ToolCall | None:
    try:
        made = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    name = made.get("name") if isinstance(made, dict) else None
    if not isinstance(name, str):
        return None
    return ToolCall(str(made.get("id") or f"call_{secrets.token_hex(8)}"), name, _arguments(made))


def _arguments(made: dict[str, Any]) -> dict[str, Any]:
    """Models write them as an object or as the text of one; anything else is left to the tool's schema."""
    found = made.get("arguments", made.get("parameters"))
    try:
        found = orjson.loads(found) if isinstance(found, str) else found
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) else {}
