"""A generation request as the wire's two frames: `set_context` and `infer`.

Our own centers are told everything as it is. The C++ center knows only texts: for it tools and their
results become words, and the oldest messages are left out until its frames and its context hold the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from jota_core.api import BackendError, Code, GenerateRequest, Message, Sampling, ToolSpec, turn_under_way

from ..wire import frame

NAMES = {
    "temperature": "temp", "top_p": "top_p", "max_tokens": "max_tokens", "top_k": "top_k", "min_p": "min_p",
    "repeat_penalty": "repeat_penalty", "seed": "seed",
}  # fmt: skip
BYTES_PER_TOKEN = 3
"""An estimate on the safe side for European languages; only used where the center cannot count."""
TOOLS = (
    "You can use these tools. To use one, write nothing but "
    '<tool_call>{"name": "its name", "arguments": {…}}</tool_call> and wait for what it answers.'
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent for one generation."""

    context: str
    infer: str


@dataclass(frozen=True, slots=True)
class Room:
    """What the center can hold."""

    frame_bytes: int
    tokens: int | None = None
    """None: it counts for itself, and says when there are too many."""
    features: frozenset[str] = frozenset()
    takes_context: bool = True


def estimate(text: str) -> int:
    """Tokens of a text, roughly, rather too many."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def compose(request: GenerateRequest, session_id: str, room: Room) -> Prompt:
    """Both frames. Raises `BackendError` (`context_too_long`, `unsupported`)."""
    plain = "tools" not in room.features
    system = "\n\n".join(message.content for message in request.messages if message.role == "system")
    if plain and request.tools:
        system = "\n\n".join([system, _told(request.tools)])
    said = [message for message in request.messages if message.role != "system"]
    last = said.pop() if said and (plain or said[-1].role == "user") else Message("user", "")
    prompt = _plain(last)["content"]
    context = [_plain(message) if plain else _whole(message) for message in said]
    if not room.takes_context:
        prompt, context = _in_words(context, prompt, room), []
    infer = _infer(request, session_id, prompt, system, room.features)
    if len(infer.encode()) > room.frame_bytes:
        raise BackendError(
            Code.CONTEXT_TOO_LONG,
            f"The message is too long: the Inference Center takes {room.frame_bytes // 1024} KiB at once.",
        )
    kept = newest(context, room, estimate(system) + estimate(prompt), request.sampling.max_tokens or 0)
    return Prompt(frame(op="set_context", session_id=session_id, context={"messages": kept}), infer)


def newest(context: list[dict[str, Any]], room: Room, used: int, answer: int) -> list[dict[str, Any]]:
    """The newest messages that fit into a frame and beside `used` and `answer` tokens, in their order."""
    left_bytes = room.frame_bytes - 200  # the frame around them
    left_tokens = None if room.tokens is None else room.tokens - used - min(answer, room.tokens // 2)
    start = len(context)
    for message in reversed(context):
        left_bytes -= len(orjson.dumps(message)) + 1
        if left_tokens is not None:
            left_tokens -= estimate(message["content"]) + 8
        if left_bytes < 0 or (left_tokens is not None and left_tokens < 0):
            break
        start -= 1
    if start:  # an answer without its question confuses a model
        start = next((at for at in range(start, len(context)) if context[at]["role"] == "user"), len(context))
    return context[start:]


def _infer(
    request: GenerateRequest, session_id: str, prompt: str, system: str, features: frozenset[str]
) -> str:
    members: dict[str, Any] = {"op": "infer", "session_id": session_id, "prompt": prompt}
    members["params"] = _params(request.sampling) | ({"system_prompt": system} if system else {})
    if request.constraint is not None:
        members[request.constraint.kind] = _constraint(request, features)
    if request.tools and "tools" in features:
        members["tools"] = [_tool(tool) for tool in request.tools]
        members["tool_choice"] = request.tool_choice
    if request.model and "model_id" in features:
        members["model_id"] = request.model
    if request.background and "background" in features:
        members["background"] = True
    if "turn_id" in features and (turn_id := turn_under_way.get()):
        members["turn_id"] = turn_id
    return frame(**members)


def _constraint(request: GenerateRequest, features: frozenset[str]) -> Any:
    assert request.constraint is not None
    if request.constraint.kind == "json_schema" and "json_schema" not in features:
        raise BackendError(Code.UNSUPPORTED, "This Inference Center knows grammars, but no JSON schemas.")
    return request.constraint.value


def _params(sampling: Sampling) -> dict[str, Any]:
    made = {
        wire: getattr(sampling, ours) for ours, wire in NAMES.items() if getattr(sampling, ours) is not None
    }
    return made | ({"stop": list(sampling.stop)} if sampling.stop else {})


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": dict(tool.input_schema)}


def _told(tools: Sequence[ToolSpec]) -> str:
    return "\n".join([TOOLS, *(orjson.dumps(_tool(tool)).decode() for tool in tools)])


def _whole(message: Message) -> dict[str, Any]:
    made: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_call_id:
        made["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        made["tool_calls"] = [
            {"id": call.id, "name": call.name, "arguments": dict(call.arguments)}
            for call in message.tool_calls
        ]
    return made


def _plain(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "user", "content": f"The tool answered: {message.content}"}
    calls = [{"name": call.name, "arguments": dict(call.arguments)} for call in message.tool_calls]
    written = [f"<tool_call>{orjson.dumps(call).decode()}</tool_call>" for call in calls]
    return {"role": message.role, "content": "\n".join(filter(None, [message.content, *written]))}


def _in_words(context: list[dict[str, Any]], prompt: str, room: Room) -> str:
    """The conversation as one text, for centers that know no context; half a frame of it."""
    kept = newest(context, Room(room.frame_bytes // 2, room.tokens), estimate(prompt), 0)
    return "\n".join([*(f"{message['role']}: {message['content']}" for message in kept), prompt])
