"""Facts of a generation: what a backend is asked and what it yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool; `arguments` is already a parsed JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a model sees it."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Only on `assistant` messages."""
    tool_call_id: str | None = None
    """Only on `tool` messages: the call that this answers."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen; None means the backend's own default."""

    temperature: float | None = None
    """0 is greedy; 0 … 2."""
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()

    def over(self, usual: Sampling) -> Sampling:
        """These settings, and the `usual` ones wherever these say nothing."""
        said = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) not in (None, ())}
        return replace(usual, **said)


@dataclass(frozen=True, slots=True)
class Constraint:
    """What the answer must match: a GBNF grammar (start rule `root`) or a JSON schema."""

    kind: Literal["grammar", "json_schema"]
    value: str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it; `input_schema` is a JSON schema of an object."""

    name: str
    description: str
    input_schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One generation: everything that an inference backend needs to know."""

    conversation: str
    """Key under which a backend keeps the prompt prefix warm; opaque."""
    messages: tuple[Message, ...]
    model: str | None = None
    """Model id; None is whatever the backend has loaded."""
    sampling: Sampling = Sampling()
    constraint: Constraint | None = None
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: Literal["auto", "required", "none"] = "auto"
    background: bool = False
    """Nobody waits for it: it stands in line behind whoever does."""


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of an answer: whole UTF-8 characters, never empty."""

    text: str
    kind: Literal["content", "thought"] = "content"


@dataclass(frozen=True, slots=True)
class Progress:
    """Prompt evaluation goes on: `done` of `total` tokens; resets the stall limit."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What one generation cost; the last thing a backend yields."""

    prompt_tokens: int
    cached_tokens: int
    """Prompt tokens that were still warm and not evaluated again."""
    completion_tokens: int
    model: str | None = None
    finish: Literal["stop", "length", "tool_call"] = "stop"


Piece = Delta | ToolCall | Progress | Usage


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model that a backend offers."""

    id: str
    name: str
    loaded: bool = False
    context_window: int | None = None
    """Tokens."""
    size_bytes: int | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an inference backend can do now."""

    context_window: int
    """Tokens that prompt and answer of one turn may fill together."""
    tools: bool = False
    grammar: bool = False
    json_schema: bool = False
