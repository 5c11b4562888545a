"""Tools run only with arguments that match, for principals that may, within their time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from jota_core.api import Principal, Tool, ToolCall, ToolSpec
from jota_core.runtime.tools import MAX_RESULT_CHARS, Toolbox

ANA = Principal("ana")


class Lamp(Tool):
    """Switches a lamp, in several ways of failing."""

    spec = ToolSpec(
        "lamp",
        "Switch a lamp.",
        {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]},
    )
    timeout_s = 0.02

    def __init__(self, mood: str = "fine") -> None:
        self.mood = mood

    async def call(self, arguments: Mapping[str, Any], principal: Principal) -> str:
        if self.mood == "raises":
            raise RuntimeError("secret detail")
        if self.mood == "hangs":
            await asyncio.sleep(5)
        return "x" * 9000 if self.mood == "long" else f"on={arguments['on']} for {principal.id}"


class Cellar(Lamp):
    """Only for admins."""

    spec = ToolSpec("cellar", "Open the cellar.", {"type": "object"})
    required_role = "admin"


async def test_a_good_call_is_done() -> None:
    assert await Toolbox([Lamp()]).run(ToolCall("1", "lamp", {"on": True}), ANA) == "on=True for ana"


@pytest.mark.parametrize(
    ("mood", "name", "arguments", "said"),
    [
        ("fine", "lamp", {"on": "yes"}, "arguments of 'lamp' are wrong"),
        ("fine", "lamp", {}, "'on' is a required property"),
        ("fine", "heater", {}, "no tool named 'heater'"),
        ("fine", "cellar", {}, "no tool named 'cellar'"),
        ("raises", "lamp", {"on": True}, "The tool 'lamp' failed."),
        ("hangs", "lamp", {"on": True}, "did not answer within 0.02 s"),
    ],
)
async def test_the_model_is_told_in_a_sentence(
    mood: str, name: str, arguments: dict[str, Any], said: str
) -> None:
    result = await Toolbox([Lamp(mood), Cellar()]).run(ToolCall("1", name, arguments), ANA)
    assert said in result
    assert "secret detail" not in result


async def test_a_long_result_is_cut_with_a_mark() -> None:
    result = await Toolbox([Lamp("long")]).run(ToolCall("1", "lamp", {"on": True}), ANA)
    assert len(result) < MAX_RESULT_CHARS + 10
    assert result.endswith("[…]")


def test_only_tools_of_the_role_are_offered() -> None:
    box = Toolbox([Lamp(), Cellar()])
    assert [spec.name for spec in box.offered(ANA)] == ["lamp"]
    assert len(box.offered(Principal("root", frozenset({"chat", "admin"})))) == 2
