"""Values by reference: `{env: NAME}`, `{file: PATH}`, `.env`; and where secrets stand in settings."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import BaseModel, SecretStr

from .problems import Place, Problem
from .tree import Path_, Tree, no_text

MAX_BYTES = 65_536
"""Longest file that a reference may name."""


def dotenv(tree: Tree, folder: Path) -> dict[str, str]:
    """What `.env` beside the configuration says."""
    file = folder / ".env"
    try:
        found = dotenv_values(file) if file.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "it is not UTF-8"
        tree.problems.append(Problem(Place(str(file)), "", f"it cannot be read: {what}"))
        return {}
    return {key: value for key, value in found.items() if value is not None}


class Resolver:
    """Replaces each reference by what it names, and remembers the place so that no message shows it."""

    def __init__(self, tree: Tree, environ: Mapping[str, str], folder: Path) -> None:
        self._tree = tree
        self._environ = environ
        self._folder = folder

    def resolve(self, node: Any, path: Path_ = ()) -> Any:
        """The same values, references replaced."""
        if isinstance(node, list):
            return [self.resolve(item, (*path, index)) for index, item in enumerate(node)]
        if not isinstance(node, dict):
            return node
        if len(node) == 1 and path:
            [(kind, name)] = node.items()
            if kind in ("env", "file") and isinstance(name, str):
                return self._named(kind, name, path)
        return {key: self.resolve(value, (*path, key)) for key, value in node.items()}

    def _named(self, kind: str, name: str, path: Path_) -> str:
        value = self._environment(name, path) if kind == "env" else self._file(self._folder / name, path)
        if value and (wrong := no_text(value)):
            self._blame(path, wrong)
        elif value:
            self._tree.hidden[path] = value
        return value

    def _environment(self, name: str, path: Path_) -> str:
        value = self._environ.get(name, "")
        if not value:
            self._blame(path, f"the environment has no {name}; set it, or put it into .env beside this file")
        return value

    def _file(self, file: Path, path: Path_) -> str:
        try:
            value = _short_text(file)
        except (OSError, UnicodeDecodeError, ValueError) as error:
            what = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
            self._blame(path, f"{file} cannot be read: {getattr(error, 'strerror', None) or what}")
            return ""
        if not value:
            self._blame(path, f"{file} is empty; it should hold the value")
        return value

    def _blame(self, path: Path_, sentence: str) -> None:
        self._tree.blame(path, sentence)
        self._tree.missing.add(path)


def _short_text(file: Path) -> str:
    if file.exists() and not stat.S_ISREG(file.stat().st_mode):
        raise ValueError("it is not a regular file")
    with file.open("rb") as opened:
        raw = opened.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    return raw.decode().strip()


def secrets(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, str]]:
    """Every secret in validated settings with its path."""
    if isinstance(value, SecretStr):
        yield path, value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from secrets(inner, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from secrets(inner, (*path, index))
