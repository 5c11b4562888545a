"""Settings from outside the file: environment names and `--set`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from .problems import Place, Problem
from .reading import MAX_DEPTH, Reader, TooMuch
from .tree import Path_, Tree, no_text

PREFIX = "JOTA__"


def from_environment(tree: Tree, environ: Mapping[str, str]) -> None:
    """`JOTA__PLUGINS__APP__LISTEN=…` sets `plugins.app.listen`; names match whatever their case."""
    for name in sorted(environ):
        if name.startswith(PREFIX):
            parts = [part.lower() for part in name[len(PREFIX) :].split("__")]
            _set(tree, parts, environ[name], Place(f"environment {name}"))


def from_options(tree: Tree, options: Iterable[str]) -> None:
    """`--set plugins.app.listen=127.0.0.1:8123`."""
    for option in options:
        path, equals, text = option.partition("=")
        parts = path.split(".")
        if not equals or not all(parts):
            sentence = "write it as PATH=VALUE, as in plugins.app.listen=127.0.0.1:8123"
            tree.problems.append(Problem(Place(f"--set {path}"), "", sentence))
        else:
            _set(tree, parts, text, Place(f"--set {path}"))


def _set(tree: Tree, parts: list[str], text: str, place: Place) -> None:
    if len(parts) > MAX_DEPTH or no_text("".join(parts)):
        tree.problems.append(Problem(place, "", "no setting has a name like this"))
        return
    node: dict[str, Any] = tree.value
    path: Path_ = ()
    for part in parts[:-1]:
        key = _known(node, part)
        path = (*path, key)
        inner = node.setdefault(key, {})
        if inner is None:
            inner = node[key] = {}
        if not isinstance(inner, dict):
            sentence = "is one value; nothing can be set below it"
            tree.problems.append(Problem(place, ".".join(map(str, path)), sentence))
            return
        tree.places.setdefault(path, place)
        node = inner
    key = _known(node, parts[-1])
    path = (*path, key)
    tree.forget(path)
    tree.places[path] = place
    node[key] = _value(tree, text, path, place)


def _value(tree: Tree, text: str, path: Path_, place: Place) -> Any:
    """The text read as YAML, or as it stands where it is none."""
    try:
        return Reader(tree, lambda _: place).parse(text, path)
    except TooMuch as error:
        tree.blame(path, f"this has {error.problem}")
    except yaml.YAMLError:
        if not (wrong := no_text(text)):
            return text
        tree.blame(path, wrong)
    tree.missing.add(path)
    return None


def _known(node: Mapping[str, Any], part: str) -> str:
    """The key as it is written already, where only its case differs."""
    return part if part in node else next((key for key in node if key.lower() == part.lower()), part)
