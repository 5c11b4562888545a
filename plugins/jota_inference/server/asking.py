"""Operations as they come in: validated at the edge, and an `infer` turned into a generation request."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from jota_core.api import Constraint, GenerateRequest, Message, Sampling, ToolCall, ToolSpec

from .modes import DEFAULT_TEMPERATURE, DEFAULT_TOP_P, mode_named


class Incoming(BaseModel):
    """Members that are not known are left alone: both older and newer clients send some."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class CallMember(Incoming):
    """A tool call in a context; ours only."""

    id: str
    name: str
    arguments: dict[str, Any] = {}


class ContextMessage(Incoming):
    """One message; what is missing is empty."""

    role: str = ""
    content: str = ""
    tool_calls: list[CallMember] = []
    tool_call_id: str | None = None


class Context(Incoming):
    """What `set_context` brings."""

    messages: list[ContextMessage] = []


class Params(Incoming):
    """Sampling; `max_tokens` -1 is no limit."""

    temp: float = DEFAULT_TEMPERATURE
    top_p: float = DEFAULT_TOP_P
    max_tokens: int = -1
    system_prompt: str = ""
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    seed: int | None = None
    stop: list[str] = []


class ToolMember(Incoming):
    """A tool that the model may use; ours only."""

    name: str
    description: str = ""
    input_schema: dict[str, Any] = {}


class Infer(Incoming):
    """An `infer`; what follows `params` is ours."""

    session_id: str
    prompt: str
    mode: str | None = None
    grammar: str | None = None
    params: Params = Params()
    json_schema: dict[str, Any] | None = None
    tools: list[ToolMember] = []
    tool_choice: Literal["auto", "required", "none"] = "auto"
    model_id: str | None = None
    background: bool = False
    turn_id: str | None = None
    """What the client calls the turn, for both logs."""


def request_of(infer: Infer, conversation: str, context: list[ContextMessage]) -> GenerateRequest:
    """The generation that an `infer` asks for: system prompt first, then the context, then the prompt."""
    mode, params = mode_named(infer.mode), infer.params
    system = params.system_prompt or (mode.system_prompt if mode else "")
    said = [_message(message) for message in context if message.role]
    if infer.prompt or not said:
        said.append(Message("user", infer.prompt))
    if system:
        said.insert(0, Message("system", system))
    return GenerateRequest(
        conversation=conversation,
        messages=tuple(said),
        model=infer.model_id,
        sampling=_sampling(infer),
        constraint=_constraint(infer),
        tools=tuple(ToolSpec(tool.name, tool.description, tool.input_schema) for tool in infer.tools),
        tool_choice=infer.tool_choice,
        background=infer.background,
    )


def _sampling(infer: Infer) -> Sampling:
    mode, params = mode_named(infer.mode), infer.params
    most = params.max_tokens if params.max_tokens > 0 else None
    temperature, top_p = params.temp, params.top_p
    if mode is not None:
        temperature = mode.temperature if temperature == DEFAULT_TEMPERATURE else temperature
        top_p = mode.top_p if top_p == DEFAULT_TOP_P else top_p
        most = most or mode.max_tokens
    return Sampling(
        temperature=max(0.0, temperature), top_p=top_p, top_k=params.top_k, min_p=params.min_p,
        repeat_penalty=params.repeat_penalty, seed=params.seed, max_tokens=most, stop=tuple(params.stop),
    )  # fmt: skip


def _constraint(infer: Infer) -> Constraint | None:
    if infer.grammar:
        return Constraint("grammar", infer.grammar)
    return Constraint("json_schema", infer.json_schema) if infer.json_schema else None


def _message(message: ContextMessage) -> Message:
    calls = tuple(ToolCall(call.id, call.name, call.arguments) for call in message.tool_calls)
    role = message.role if message.role in ("system", "assistant", "tool") else "user"
    return Message(role, message.content, calls, message.tool_call_id)  # type: ignore[arg-type]  # one of four
