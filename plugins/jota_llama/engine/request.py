"""A generation request as llama.cpp's chat endpoint takes it, and others of OpenAI's kind."""

from __future__ import annotations

from typing import Any

import orjson

from jota_core.api import Constraint, GenerateRequest, Message, Sampling, ToolSpec

NAMES = {"temperature", "top_p", "top_k", "min_p", "repeat_penalty", "seed", "max_tokens"}
"""Sampling settings that have the same name there."""


def body(request: GenerateRequest, *, native_tools: bool, thinking: bool) -> dict[str, Any]:
    """The body for our own engine. `native_tools`: the model's template knows tools."""
    forced = is_forced(request)
    return {
        "return_progress": True,  # also lets the server notice an abort while it evaluates a prompt
        "cache_prompt": True,
        "chat_template_kwargs": {"enable_thinking": thinking and not forced},
        **chat(request, native_tools=native_tools, forced=forced),
    }


def chat(request: GenerateRequest, *, native_tools: bool, forced: bool) -> dict[str, Any]:
    """What every server of OpenAI's chat API understands. `forced`: the answer has to be a tool call."""
    told = native_tools and not forced
    messages = [_message(message, native_tools) for message in request.messages]
    made: dict[str, Any] = {
        "messages": with_tool_prompt(messages, request.tools) if forced else messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        **_sampling(request.sampling),
        **_constraint(request.constraint),
    }
    if forced:
        made["response_format"] = _format(tools_schema(request.tools))
    elif told and request.tools:
        made["tools"] = [_tool(tool) for tool in request.tools]
        made["tool_choice"] = request.tool_choice
    return made


def is_forced(request: GenerateRequest) -> bool:
    """Whether the answer has to be a tool call. A schema forces it: templates do not with small models."""
    return request.tool_choice == "required" and bool(request.tools)


def tools_schema(tools: tuple[ToolSpec, ...]) -> dict[str, Any]:
    """JSON schema of one call of one of the tools."""
    return {"oneOf": [_call_schema(tool) for tool in tools]}


def with_tool_prompt(messages: list[dict[str, Any]], tools: tuple[ToolSpec, ...]) -> list[dict[str, Any]]:
    """Tell the tools in plain words, in the system prompt."""
    lines = [f"- {tool.name}: {tool.description} Arguments: {_json(tool.input_schema)}" for tool in tools]
    told = "\n".join(["Answer by using one of these tools, as JSON with `tool` and `arguments`:", *lines])
    first, rest = (
        (messages[0], messages[1:]) if messages[:1] and messages[0]["role"] == "system" else ({}, messages)
    )
    content = "\n\n".join(filter(None, [first.get("content", ""), told]))
    return [{"role": "system", "content": content}, *rest]


def _call_schema(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"tool": {"const": tool.name}, "arguments": dict(tool.input_schema)},
        "required": ["tool", "arguments"],
        "additionalProperties": False,
    }


def _message(message: Message, native_tools: bool) -> dict[str, Any]:
    if message.role == "tool" and not native_tools:
        return {"role": "user", "content": f"The tool answered: {message.content}"}
    made: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_call_id:
        made["tool_call_id"] = message.tool_call_id
    if message.tool_calls and native_tools:
        made["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _json(call.arguments)},
            }
            for call in message.tool_calls
        ]
    elif message.tool_calls:
        calls = [_json({"tool": call.name, "arguments": dict(call.arguments)}) for call in message.tool_calls]
        made["content"] = "\n".join(filter(None, [message.content, *calls]))
    return made


def _sampling(sampling: Sampling) -> dict[str, Any]:
    made = {name: getattr(sampling, name) for name in NAMES if getattr(sampling, name) is not None}
    if sampling.stop:
        made["stop"] = list(sampling.stop)
    return made


def _constraint(constraint: Constraint | None) -> dict[str, Any]:
    if constraint is None:
        return {}
    if constraint.kind == "grammar":
        return {"grammar": constraint.value}
    return {"response_format": _format(constraint.value)}


def _format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.input_schema)}
    return {"type": "function", "function": function}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
