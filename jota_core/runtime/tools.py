"""Tools: what the model may ask for, checked against schema and role before anything runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jota_core.api import JotaError, Principal, Tool, ToolCall, ToolSpec

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

log = logging.getLogger(__name__)

MAX_RESULT_CHARS = 4000
"""A longer result is cut, with a mark, so that one tool cannot fill the prompt."""


class Toolbox:
    """All tools of the host by name; the first of two with one name wins."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            self._tools.setdefault(tool.spec.name, tool)
        self._validators = {name: _validator(tool.spec) for name, tool in self._tools.items()}

    def offered(self, principal: Principal) -> tuple[ToolSpec, ...]:
        """The tools that this principal's turns may use."""
        return tuple(tool.spec for tool in self._tools.values() if tool.required_role in principal.roles)

    async def run(self, call: ToolCall, principal: Principal) -> str:
        """Do what the model asked and return what it is told; a failure is told to it in a sentence."""
        tool = self._tools.get(call.name)
        if tool is None or tool.required_role not in principal.roles:
            return f"There is no tool named {call.name!r}."
        error = next(self._validators[call.name].iter_errors(dict(call.arguments)), None)
        if error is not None:
            return f"The arguments of {call.name!r} are wrong: {error.message}."
        result = await _guarded(tool, call.arguments, principal)
        return result if len(result) <= MAX_RESULT_CHARS else result[:MAX_RESULT_CHARS] + " […]"


async def _guarded(tool: Tool, arguments: Mapping[str, object], principal: Principal) -> str:
    name = tool.spec.name
    try:
        async with asyncio.timeout(tool.timeout_s):
            return await tool.call(arguments, principal)
    except JotaError as error:
        return error.sentence
    except TimeoutError:
        return f"The tool {name!r} did not answer within {tool.timeout_s:g} s."
    except Exception:
        log.exception("Tool %s failed.", name)
        return f"The tool {name!r} failed."


def _validator(spec: ToolSpec) -> Draft202012Validator:
    # Imported here: a host without tools saves the memory and the start-up time.
    from jsonschema import Draft202012Validator

    return Draft202012Validator(dict(spec.input_schema))
