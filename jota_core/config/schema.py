"""A JSON Schema of `jota.yaml`, so that editors complete and check it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from jota_core.api import Plugin

from .loader import CORE

REFERENCE = {
    "type": "object",
    "description": "A secret by reference: an environment name, or a file to read.",
    "properties": {"env": {"type": "string"}, "file": {"type": "string"}},
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}


def json_schema(plugins: Mapping[str, type[Plugin[Any]]]) -> dict[str, Any]:
    """The schema of a file that may use these plugins, by name."""
    definitions: dict[str, Any] = {}
    known = [_section(name, plugin, definitions) for name, plugin in sorted(plugins.items())]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "jota.yaml",
        "type": "object",
        "additionalProperties": False,
        "required": ["plugins"],
        "properties": {
            **{name: _inline(model, definitions) for name, model in CORE.items()},
            "plugins": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {
                    "type": "object",
                    "required": ["plugin"],
                    "properties": {"plugin": {"type": "string", "examples": sorted(plugins)}},
                    "allOf": known,
                },
            },
        },
        "$defs": definitions,
    }


def _section(name: str, plugin: type[Plugin[Any]], definitions: dict[str, Any]) -> dict[str, Any]:
    own = _inline(plugin.Settings, definitions)
    own["properties"] = {
        "plugin": {"const": name},
        "required": {"type": "boolean", "description": "Whether the host refuses to start without it."},
        **own.get("properties", {}),
    }
    return {"if": {"properties": {"plugin": {"const": name}}}, "then": own}


def _inline(model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = _with_references(model.model_json_schema())
    definitions.update(schema.pop("$defs", {}))
    return schema


def _with_references(schema: Any) -> Any:
    """The same schema, with a reference allowed wherever it asks for a secret."""
    if isinstance(schema, list):
        return [_with_references(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "password":
        return {"anyOf": [schema, REFERENCE]}
    return {key: _with_references(value) for key, value in schema.items()}
