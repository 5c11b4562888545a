"""A real host for each test, with whatever the test puts into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from jota_core.api import Plugin, Principal, Settings, Tool, ToolCall, ToolSpec, hookimpl
from jota_core.config import ConfigProblems
from jota_core.testing import RunHost, Script, ScriptedBackend, ask


class KettleSettings(Settings):
    minutes: int = 3


class KettleTool(Tool):
    spec = ToolSpec("kettle", "Boil water for tea.", {"type": "object"})

    def __init__(self, minutes: int) -> None:
        self.minutes = minutes

    async def call(self, arguments: Mapping[str, Any], principal: Principal) -> str:
        return f"Ready in {self.minutes} minutes."


class Kettle(Plugin[KettleSettings]):
    Settings = KettleSettings

    @hookimpl
    def jota_tools(self) -> Sequence[Tool]:
        return [KettleTool(self.settings.minutes)]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("", "Ready in 3 minutes."),
        ("plugins: {kettle: {minutes: 5}}", "Ready in 5 minutes."),
        ({"plugins": {"kettle": {"minutes": 6}}}, "Ready in 6 minutes."),
    ],
)
async def test_a_plugin_class_of_the_test_gets_its_settings(
    run_host: RunHost, config: Any, told: str
) -> None:
    model = ScriptedBackend(Script([ToolCall("1", "kettle", {})]), "Done.")
    async with run_host(config, plugins={"llm": model, "kettle": Kettle}) as host:
        assert (await ask(host.sessions, "Tea!")).text == "Done."
    assert model.requests[-1].messages[-1].content == told


async def test_an_object_is_offered_as_it_is(run_host: RunHost) -> None:
    model = ScriptedBackend(Script([ToolCall("1", "kettle", {})]), "Done.")
    async with run_host(plugins={"llm": model, "kettle": KettleTool(9)}) as host:
        await ask(host.sessions, "Tea!")
    assert model.requests[-1].messages[-1].content == "Ready in 9 minutes."


async def test_options_are_those_of_the_command_line(run_host: RunHost) -> None:
    options = ["plugins.kettle.minutes=7", "assistant.name=Rosa"]
    async with run_host(plugins={"kettle": Kettle}, options=options) as host:
        assert host.config.assistant.name == "Rosa"
        assert [section.settings for section in host.config.sections][-1] == KettleSettings(minutes=7)


async def test_a_memory_is_there_unless_it_is_not_wanted(run_host: RunHost) -> None:
    async with run_host(plugins={"kettle": Kettle}) as host:
        assert [section.section for section in (await host.health()).sections] == ["memory", "kettle"]
    async with run_host(plugins={"kettle": Kettle}, memory=False) as host:
        assert [section.section for section in (await host.health()).sections] == ["kettle"]


async def test_wrong_settings_are_told_with_their_place(run_host: RunHost) -> None:
    with pytest.raises(ConfigProblems) as told:
        async with run_host("plugins: {kettle: {minuts: 5}}", plugins={"kettle": Kettle}):
            pass
    assert "plugins.kettle.minuts" in str(told.value.problems[0])
