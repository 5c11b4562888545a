"""Settings from outside the file: environment names and `--set`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from .problems import Place, Problem
from .tree import Tree

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
        place = Place(f"--set {path}")
        if not equals or not path:
            tree.problems.append(
                Problem(place, "", "write it as PATH=VALUE, as in plugins.app.listen=127.0.0.1:8123")
            )
        else:
            _set(tree, path.split("."), text, place)


def _set(tree: Tree, parts: list[str], text: str, place: Place) -> None:
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        value = text
    node: dict[str, Any] = tree.value
    path: tuple[str, ...] = ()
    for part in parts[:-1]:
        path = (*path, _known(node, part))
        inner = node.setdefault(path[-1], {})
        if inner is None:
            inner = node[path[-1]] = {}
        if not isinstance(inner, dict):
            tree.problems.append(Problem(place, ".".join(path), "is one value; nothing can be set below it"))
            return
        tree.places.setdefault(path, place)
        node = inner
    path = (*path, _known(node, parts[-1]))
    node[path[-1]] = value
    tree.places[path] = place


def _known(node: Mapping[str, Any], part: str) -> str:
    """The key as it is written already, where only its case differs."""
    return next((key for key in node if key.lower() == part.lower()), part)
