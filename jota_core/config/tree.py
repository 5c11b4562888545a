"""YAML text to plain values that remember where each was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .problems import ConfigProblems, Place, Problem

Path_ = tuple[str | int, ...]
MAX_BYTES = 1_000_000
MAX_VALUES = 20_000
"""Aliases may multiply a small file; beyond this it is refused."""
MAX_DEPTH = 50


@dataclass(slots=True)
class Tree:
    """Plain values, the place of each, and what was wrong with the text itself."""

    source: str
    value: dict[str, Any] = field(default_factory=dict)
    places: dict[Path_, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path_) -> Place:
        """Where a value stands, or the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(self.source, 1, 1))

    def blame(self, path: Path_, sentence: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(self.place(path), dotted(path), sentence))


def dotted(path: Path_) -> str:
    """`plugins.app.listen`."""
    return ".".join(str(part) for part in path)


def read(file: Path) -> Tree:
    """Read a file. Raises `ConfigProblems` when it cannot be read as one YAML mapping."""
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise _unreadable(file, "there is no such file; name one with -c FILE") from None
    except OSError as error:
        raise _unreadable(file, f"it cannot be read: {error.strerror or error}") from None
    if len(raw) > MAX_BYTES:
        raise _unreadable(file, f"it has {len(raw)} bytes; {MAX_BYTES} are the most")
    try:
        return parse(raw.decode(), file.name)
    except UnicodeDecodeError as error:
        raise _unreadable(file, f"byte {error.start} is not UTF-8; save the file as UTF-8") from None


def parse(text: str, source: str) -> Tree:
    """Parse one YAML document. Raises `ConfigProblems` when it is no mapping at all."""
    tree = Tree(source)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        value = {} if node is None else _Reader(loader, tree).read(node, ())
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigProblems([_syntax(error, source)]) from None
    if not isinstance(value, dict):
        raise ConfigProblems(
            [Problem(Place(source, 1, 1), "", "the file must be a mapping of settings (`key: value`)")]
        )
    tree.value = value
    return tree


class _Reader:
    """Turns nodes into values, noting places, duplicates and too much of anything."""

    def __init__(self, loader: yaml.SafeLoader, tree: Tree) -> None:
        self._loader = loader
        self._tree = tree
        self._count = 0

    def read(self, node: yaml.Node, path: Path_) -> Any:
        self._count += 1
        if self._count > MAX_VALUES or len(path) > MAX_DEPTH:
            raise ValueError(f"more than {MAX_VALUES} values or {MAX_DEPTH} levels")
        self._tree.places.setdefault(path, self._place(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            inner = (*path, key)
            if key in values:
                first = self._tree.place(inner)
                sentence = f"is written twice; the first is in line {first.line}"
                self._tree.problems.append(Problem(self._place(key_node), dotted(inner), sentence))
                continue
            self._tree.places[inner] = self._place(key_node)
            values[key] = self.read(value_node, inner)
        return values

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._tree.source, node.start_mark.line + 1, node.start_mark.column + 1)


def _unreadable(file: Path, sentence: str) -> ConfigProblems:
    return ConfigProblems([Problem(Place(str(file)), "", sentence)])


def _syntax(error: Exception, source: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    place = Place(source, mark.line + 1, mark.column + 1) if mark else Place(source, 1, 1)
    what = getattr(error, "problem", None) or str(error).split("\n", maxsplit=1)[0]
    return Problem(place, "", f"this is not YAML that Jota can read: {what}")
