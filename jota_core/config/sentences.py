"""Plain sentences for what pydantic found."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

from .problems import nearest
from .tree import Path_, Tree

PLAIN = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping (`key: value`)",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "missing": "is missing; it has no default",
    "model_type": "must be a mapping (`key: value`)",
    "path_type": "must be a path",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "string_type": "must be text",
    "tuple_type": "must be a list",
}

TYPES = ("str", "int", "float", "bool")
"""What pydantic puts into a location for a member of a union."""


def blame(document: Tree, path: Path_, error: ValidationError, model: type[BaseModel]) -> None:
    """Note each of pydantic's errors at the place where the value was written, in plain words."""
    seen: set[tuple[Path_, str]] = set()
    secret = _secret_names(model)
    for detail in error.errors(include_url=False):
        place = (*path, *_written(detail["loc"], document, path))
        shown = not document.hides(place) and not secret.intersection(detail["loc"])
        sentence = _sentence(dict(detail), model, shown=shown)
        if (place, sentence) not in seen:
            seen.add((place, sentence))
            document.blame(place, sentence)


def _written(location: Path_, document: Tree, path: Path_) -> Path_:
    """The part of a location that the user wrote; pydantic adds names of union members."""
    written: Path_ = ()
    for index, part in enumerate(location):
        is_field = index == len(location) - 1 and str(part).isidentifier() and part not in TYPES
        if isinstance(part, int) or is_field or (*path, *written, part) in document.places:
            written = (*written, part)
    return written


def _sentence(detail: dict[str, Any], model: type[BaseModel], *, shown: bool) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return f"not a known setting{nearest(str(detail['loc'][-1]), _fields(model, detail['loc'][:-1]))}"
    found = _found(detail) if shown else ""
    if kind in PLAIN:
        return PLAIN[kind] + found
    if kind == "literal_error":
        return f"must be one of {detail['ctx']['expected']}" + found
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    value = str(detail.get("input"))
    if not shown and value:
        message = message.replace(value, "…").replace(repr(value)[1:-1], "…")
    if message.startswith("Input should "):
        message = message.replace("Input should ", "must ", 1) + found
    return message


def _found(detail: dict[str, Any]) -> str:
    value = detail.get("input")
    if detail["type"] == "missing" or not isinstance(value, str | int | float | bool):
        return ""
    shown = f", not {str(value)[:40]!r}"
    return f"{shown}; put it into quotes" if detail["type"] == "string_type" else shown


def _fields(model: type[BaseModel], location: Path_) -> list[str]:
    """Names that a (nested) model knows at a location."""
    inner: Any = model
    for part in location:
        field = inner.model_fields.get(str(part)) if _is_model(inner) else None
        if field is not None:
            inner = next((a for a in (field.annotation, *_deep(field.annotation)) if _is_model(a)), inner)
    return list(inner.model_fields) if _is_model(inner) else []


def _secret_names(model: type[BaseModel], seen: frozenset[type[BaseModel]] = frozenset()) -> set[str]:
    """Names of all fields in a model and below it that hold secrets."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        for annotation in (field.annotation, *_deep(field.annotation)):
            if annotation in (SecretStr, SecretBytes):
                found.add(name)
            elif _is_model(annotation) and annotation not in seen:
                found |= _secret_names(annotation, seen | {model})
    return found


def _deep(annotation: Any) -> list[Any]:
    return [found for inner in get_args(annotation) for found in (inner, *_deep(inner))]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
