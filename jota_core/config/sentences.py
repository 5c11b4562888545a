"""Plain sentences for what pydantic found."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from .problems import nearest
from .tree import Path_, Tree

PLAIN = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping (`key: value`)",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "missing": "is missing; it has no default",
    "model_type": "must be a mapping (`key: value`)",
    "string_type": "must be text",
    "secret_type": "must be text",
}


def blame(document: Tree, path: Path_, error: ValidationError, model: type[BaseModel]) -> None:
    """Note each of pydantic's errors at the place where the value was written, in plain words."""
    seen: set[tuple[Path_, str]] = set()
    for detail in error.errors(include_url=False, include_context=True, include_input=True):
        place = (*path, *_written(detail["loc"]))
        sentence = _sentence(dict(detail), model)
        if (place, sentence) not in seen:
            seen.add((place, sentence))
            document.blame(place, sentence)


def _written(location: tuple[str | int, ...]) -> Path_:
    """The part of a location that the user wrote; pydantic adds names of union members."""
    return tuple(
        part for part in location if isinstance(part, int) or part.replace("_", "").replace("-", "").isalnum()
    )


def _sentence(detail: dict[str, Any], model: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return f"not a known setting{nearest(str(detail['loc'][-1]), _fields(model, detail['loc'][:-1]))}"
    if kind in PLAIN:
        return PLAIN[kind] + _found(detail)
    if kind == "literal_error":
        return f"must be one of {detail['ctx']['expected']}" + _found(detail)
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message.replace("Input should", "should", 1)


def _found(detail: dict[str, Any]) -> str:
    value = detail.get("input")
    if detail["type"] in ("missing", "secret_type") or not isinstance(value, str | int | float | bool):
        return ""
    return f", not {str(value)[:40]!r}"


def _fields(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Names that a (nested) model knows at a location."""
    inner: Any = model
    for part in location:
        field = inner.model_fields.get(str(part)) if _is_model(inner) else None
        if field is None:
            continue
        inner = next((a for a in (field.annotation, *_deep(field.annotation)) if _is_model(a)), inner)
    return list(inner.model_fields) if _is_model(inner) else []


def _deep(annotation: Any) -> list[Any]:
    return [found for inner in get_args(annotation) for found in (inner, *_deep(inner))]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
