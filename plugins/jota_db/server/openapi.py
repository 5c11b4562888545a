"""The OpenAPI document, made of the routes, and a page to read it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from .routes import Nothing, Route

REF = "#/components/schemas/{model}"
ERRORS = {
    "400": "Something is missing",
    "401": "No key, or one that is not valid",
    "403": "This key may not",
    "404": "It is not there, or not yours",
    "409": "Somebody changed it meanwhile",
    "413": "Too large",
    "422": "Not understood; `detail` says what",
    "429": "Too many; try again later",
    "503": "The store does not answer; try again later",
}
FOR_SOMEBODY = ("client", "owner")
DESCRIPTION = "Conversations, clients and their wishes, tasks, events and reminders of the house."


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """OpenAPI 3.1."""
    models: set[type[BaseModel]] = {each.body for each in routes if each.body is not None}
    order = sorted(models, key=lambda model: (model.__module__, model.__name__))
    refs, definitions = models_json_schema([(model, "validation") for model in order], ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        body = refs[(route.body, "validation")] if route.body is not None else None
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, body)
    return {
        "openapi": "3.1.0",
        "info": {"title": "JotaDB", "version": "1", "description": DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": {**definitions.get("$defs", {}), "Error": _error()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(route: Route, body: dict[str, Any] | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "summary": route.summary,
        "tags": [route.path.split("/")[1]],
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}").strip("_"),
        "parameters": _parameters(route),
        "responses": _responses(route),
    }
    if body is not None:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if route.who != "open":
        told["security"] = [{"bearer": []} if route.who == "bearer" else {"bearer": [], "key": []}]
    return told


def _parameters(route: Route) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(name)}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.who in FOR_SOMEBODY:
        text = {"type": "string", "minLength": 1, "maxLength": 128}
        found.append({"name": "X-Client-ID", "in": "header", "required": False, "schema": text})
    if route.query is not Nothing:
        for name, schema in route.query.model_json_schema()["properties"].items():
            found.append({"name": name, "in": "query", "required": False, "schema": schema})
    return found


def _path_schema(name: str) -> dict[str, Any]:
    if name in ("conversation_id", "number"):
        return {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
    return {"type": "string", "minLength": 1}


def _responses(route: Route) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": REF.format(model="Error")}}}
    told: dict[str, Any] = {
        status: {"description": sentence, "content": error} for status, sentence in ERRORS.items()
    }
    content: dict[str, Any] = {} if route.status == 204 else {"content": {route.content: {"schema": {}}}}
    return {str(route.status): {"description": "Done", **content}, **told}


def _error() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["detail", "code"],
        "properties": {
            "detail": {"anyOf": [{"type": "string"}, {"type": "array"}]},
            "code": {"type": "string"},
        },
    }


PAGE = """<!doctype html><meta charset="utf-8"><title>JotaDB</title>
<style>body{{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}}
code{{background:#8882;padding:.1rem .3rem;border-radius:.2rem}}summary{{cursor:pointer;margin:.2rem 0}}
pre{{overflow:auto;background:#8882;padding:.5rem}}</style>
<h1>JotaDB</h1><p>{description} The same for programs: <a href="openapi.json">openapi.json</a>.</p>{groups}"""


def page(told: dict[str, Any]) -> str:
    """Every operation, to unfold; nothing is loaded from anywhere."""
    groups: dict[str, list[str]] = {}
    for path, operations in told["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append(_entry(path, method, operation, told))
    parts = [f"<h2>{escape(tag)}</h2>{''.join(entries)}" for tag, entries in groups.items()]
    return PAGE.format(description=escape(DESCRIPTION), groups="".join(parts))


def _entry(path: str, method: str, operation: dict[str, Any], told: dict[str, Any]) -> str:
    import json

    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    schema = told["components"]["schemas"].get(body.get("$ref", "").rpartition("/")[2], body)
    parameters = ", ".join(f"{each['name']} ({each['in']})" for each in operation["parameters"]) or "none"
    shown = f"<pre>{escape(json.dumps(schema, indent=1))}</pre>" if schema else ""
    summary = f"<code>{method.upper()} {escape(path)}</code> {escape(operation['summary'])}"
    inside = f"<p>Parameters: {escape(parameters)}</p>{shown}"
    return f"<details><summary>{summary}</summary>{inside}</details>"
