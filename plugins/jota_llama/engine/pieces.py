"""Events of a chat completion to pieces of an answer."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any, Literal

import orjson

from jota_core.api import Delta, Kind, Piece, Progress, TagSplitter, ToolCall, Usage

FINISHES: dict[str, Literal["stop", "length", "tool_call"]] = {"length": "length"}


class PieceMaker:
    """Turns the events of one completion into pieces; `whole` once the last event has come."""

    __slots__ = (
        "_calls",
        "_finish",
        "_forced",
        "_json",
        "_model",
        "_said",
        "_stopped",
        "_tags",
        "_usage",
        "whole",
    )

    def __init__(self, model: str, *, forced: bool, constrained: bool) -> None:
        self.whole = False
        self._model = model
        self._forced = forced
        self._tags = None if forced or constrained else TagSplitter()
        self._json: list[str] = []
        self._usage: dict[str, Any] = {}
        self._stopped = False
        self._said = 0
        self._calls: dict[int, dict[str, str]] = {}
        self._finish: Literal["stop", "length", "tool_call"] = "stop"

    def make(self, event: dict[str, Any]) -> Iterator[Piece]:
        """The pieces of one event."""
        for choice in event.get("choices", ()):
            delta = choice.get("delta") or {}
            self._said += 1
            if text := delta.get("content"):
                yield from self._content(text)
            elif thought := delta.get("reasoning_content") or delta.get("reasoning"):
                yield Delta(thought, "thought")
            for call in delta.get("tool_calls") or ():
                self._gather(call)
            if finish := choice.get("finish_reason"):
                self._finish, self._stopped = FINISHES.get(finish, "stop"), True
        if progress := event.get("prompt_progress"):
            yield Progress(progress["processed"], progress["total"])
        if usage := event.get("usage"):
            self._usage = usage
            if self._stopped or not event.get("choices"):  # it comes behind everything else
                yield from self.end()

    def end(self) -> Iterator[Piece]:
        """The last pieces, once the server has said why it stopped; some tell no usage."""
        if not self.whole and (self._usage or self._stopped):
            yield from self._end(self._usage)

    def _content(self, text: str) -> Iterator[Piece]:
        if self._forced:
            self._json.append(text)
            yield Progress(0, 0)  # the call is being written: no text to show, and no stall either
        elif self._tags is None:
            yield Delta(text)
        else:
            yield from _deltas(self._tags.feed(text))

    def _gather(self, part: dict[str, Any]) -> None:
        call = self._calls.setdefault(part.get("index", 0), {"id": "", "name": "", "arguments": ""})
        function = part.get("function", {})
        call["id"] = part.get("id") or call["id"]
        call["name"] += function.get("name") or ""
        call["arguments"] += function.get("arguments") or ""

    def _end(self, usage: dict[str, Any]) -> Iterator[Piece]:
        if self._tags is not None:
            yield from _deltas(self._tags.end())
        calls = [*self._native_calls(), *self._forced_call()]
        yield from calls
        self.whole = True
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        if calls:
            self._finish = "tool_call"
        tokens = usage.get("completion_tokens", self._said)
        yield Usage(usage.get("prompt_tokens", 0), cached, tokens, self._model, self._finish)

    def _native_calls(self) -> Iterator[ToolCall]:
        for call in self._calls.values():
            if call["name"]:
                # Arguments that are no object are left to the tool's schema, which refuses them.
                yield ToolCall(call["id"] or _call_id(), call["name"], _object(call["arguments"]))

    def _forced_call(self) -> Iterator[ToolCall]:
        made = _object("".join(self._json)) if self._forced else {}
        if isinstance(made.get("tool"), str) and isinstance(made.get("arguments"), dict):
            yield ToolCall(_call_id(), made["tool"], made["arguments"])


def _deltas(said: Iterator[tuple[Kind, str]]) -> Iterator[Delta]:
    for kind, text in said:
        yield Delta(text, "thought" if kind == "thought" else "content")


def _object(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _call_id() -> str:
    return f"call_{secrets.token_hex(8)}"
