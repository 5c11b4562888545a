"""What every tool does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest

from jota_core.api import Principal, Tool

ROLES = {"chat", "node", "service", "admin"}


class ToolContract:
    """Subclass it in a test module as `class Test…`; give it a fixture `tool` and good `arguments`."""

    arguments: Mapping[str, Any]
    """Arguments that the tool can work with."""

    @pytest.fixture
    def tool(self) -> Tool:
        """The tool under test; override it."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `tool`.")

    def test_a_model_understands_its_name_and_description(self, tool: Tool) -> None:
        assert tool.spec.name.isidentifier() and tool.spec.name.isascii()
        assert len(tool.spec.name) <= 64
        assert len(tool.spec.description.split()) >= 3, "say in a sentence when to use it"

    def test_its_schema_is_one_of_an_object(self, tool: Tool) -> None:
        jsonschema.Draft202012Validator.check_schema(dict(tool.spec.input_schema))
        assert tool.spec.input_schema.get("type") == "object"
        jsonschema.validate(dict(self.arguments), dict(tool.spec.input_schema))

    def test_its_role_and_time_limit_are_sound(self, tool: Tool) -> None:
        assert tool.required_role in ROLES
        assert 0 < tool.timeout_s <= 300

    async def test_it_answers_with_text_in_time(self, tool: Tool) -> None:
        principal = Principal("tester", frozenset({tool.required_role}))
        async with asyncio.timeout(tool.timeout_s):
            answer = await tool.call(self.arguments, principal)
        assert isinstance(answer, str)
        assert answer.strip()
