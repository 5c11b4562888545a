"""YAML text to plain values: bounded, with places, and with sentences for what cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from .problems import ConfigProblems, Place, Problem
from .tree import Path_, Tree, dotted, no_text

MAX_BYTES = 1_048_576
MAX_VALUES = 20_000
"""Aliases may multiply a small file; beyond this it is refused."""
MAX_DEPTH = 50
UNREADABLE = (ValueError, IndexError, KeyError, AttributeError, OverflowError, TypeError)
"""What PyYAML raises for a value that does not fit its own tag, as in `!!int ""`."""
PLAIN = {
    "cannot start any token": "this character cannot begin a value; indent with spaces instead of tabs, "
    "and put a text that begins with @, ` or % into quotes",
    "mapping values are not allowed": "a `:` that does not belong here; "
    "put a text that holds `: ` into quotes",
    "unexpected end of stream": "a quote is opened and never closed",
    "expected a single document": "the file holds several documents; keep one, without `---` lines",
    "found undefined alias": "an alias (`*name`) that stands for nothing; "
    "put a text that begins with * into quotes",
    "special characters are not allowed": "a control character; remove it",
}
"""What PyYAML says, and what that means to the person at the keyboard."""


class TooMuch(yaml.MarkedYAMLError):
    """More values or levels than any configuration needs."""

    def __init__(self, mark: yaml.Mark) -> None:
        sentence = f"more than {MAX_VALUES} values or {MAX_DEPTH} levels; no configuration needs that"
        super().__init__(problem=sentence, problem_mark=mark)


class _Loader(yaml.SafeLoader):
    """Stops at once at too much, before memory and time go into it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._count = 0
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._count += 1
        self._depth += 1
        if self._count > 2 * MAX_VALUES or self._depth > MAX_DEPTH:
            raise TooMuch(self.get_mark())
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


class Reader:
    """Turns a text into values; notes the place of each, duplicates and values that cannot be read."""

    def __init__(self, tree: Tree, locate: Callable[[yaml.Mark], Place]) -> None:
        self._tree = tree
        self._locate = locate
        self._count = 0

    def parse(self, text: str, path: Path_ = ()) -> Any:
        """The values of one document, noted below `path`; None for none. Raises `yaml.YAMLError`."""
        self._loader = _Loader(text)
        node = self._loader.get_single_node()
        return None if node is None else self._read(node, path)

    def _read(self, node: yaml.Node, path: Path_) -> Any:
        self._count += 1
        if self._count > MAX_VALUES or len(path) > MAX_DEPTH:
            raise TooMuch(node.start_mark)
        self._tree.places.setdefault(path, self._locate(node.start_mark))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _scalar(self, node: yaml.Node, path: Path_) -> Any:
        try:
            value = self._loader.construct_object(node)
        except yaml.constructor.ConstructorError:
            self._blame(node, path, f"the tag {node.tag!r} is not known here; leave it out")
        except UNREADABLE:
            kind = node.tag.rpartition(":")[2]
            self._blame(node, path, f"{str(node.value)[:40]!r} cannot be read as a value of kind {kind}")
        else:
            if isinstance(value, str) and (wrong := no_text(value)):
                self._blame(node, path, wrong)
            else:
                return value
        self._tree.missing.add(path)
        return None

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or no_text(key):
                self._blame(key_node, (*path, "?"), "a setting's name must be plain text")
                continue
            inner = (*path, key)
            if key in values:
                place = self._tree.places[inner]
                where = f"in line {place.line}" if place.line else f"in {place}"
                problem = Problem(
                    self._locate(key_node.start_mark),
                    dotted(inner),
                    f"is written twice; the first is {where}",
                )
                self._tree.problems.append(problem)
                continue
            self._tree.places[inner] = self._locate(key_node.start_mark)
            values[key] = self._read(value_node, inner)
        return values

    def _blame(self, node: yaml.Node, path: Path_, sentence: str) -> None:
        self._tree.places[path] = self._locate(node.start_mark)
        self._tree.blame(path, sentence)


def read(file: Path) -> Tree:
    """Read a file. Raises `ConfigProblems` when it cannot be read as one YAML mapping."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unreadable(file, "there is no such file; name one with -c FILE") from None
    except (OSError, ValueError) as error:
        raise _unreadable(file, f"it cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > MAX_BYTES:
        raise _unreadable(file, f"it has more than {MAX_BYTES} bytes; no configuration needs that")
    try:
        return parse(raw.decode("utf-8-sig"), str(file))
    except UnicodeDecodeError as error:
        raise _unreadable(file, f"byte {error.start} is not UTF-8; save the file as UTF-8") from None


def parse(text: str, source: str) -> Tree:
    """Parse one YAML document. Raises `ConfigProblems` when it is no mapping at all."""
    tree = Tree(source)
    try:
        value = Reader(tree, lambda mark: _place(source, mark)).parse(text)
    except yaml.YAMLError as error:
        raise ConfigProblems([_syntax(error, source)]) from None
    if value is None and not tree.problems:
        value = {}
    if not isinstance(value, dict):
        sentence = "the file must be a mapping of settings (`key: value`)"
        raise ConfigProblems([*tree.problems, Problem(Place(source, 1, 1), "", sentence)])
    tree.value = value
    return tree


def _place(source: str, mark: yaml.Mark) -> Place:
    return Place(source, mark.line + 1, mark.column + 1)


def _unreadable(file: Path, sentence: str) -> ConfigProblems:
    return ConfigProblems([Problem(Place(str(file)), "", sentence)])


def _syntax(error: yaml.YAMLError, source: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    place = _place(source, mark) if mark else Place(source, 1, 1)
    what = getattr(error, "problem", None) or str(error).split("\n", maxsplit=1)[0]
    plain = next((sentence for words, sentence in PLAIN.items() if words in str(what)), what)
    return Problem(place, "", f"this is not YAML that Jota can read: {plain}")
