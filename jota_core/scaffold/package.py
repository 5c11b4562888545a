"""Fills the templates and writes the files."""

from __future__ import annotations

from dataclasses import asdict
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Literal, get_args

from .names import Names, ScaffoldError

Kind = Literal["tool", "backend", "transport", "memory"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SUFFIX = ".tmpl"


def create(name: str, kind: Kind, folder: Path) -> list[Path]:
    """Write the package of a new plugin into `folder/jota-NAME` and return its files.

    Raises `ScaffoldError` when the name is no good, the kind unknown, or the place taken.
    """
    names = Names.of(name)
    if kind not in KINDS:
        raise ScaffoldError(f"{kind!r} is no kind of plugin; there are {', '.join(KINDS)}.")
    root = folder / names.distribution
    if root.exists():
        raise ScaffoldError(
            f"{root} is there already; nothing was written. Move it away or choose another name."
        )
    return [_write(root / place, text) for place, text in _filled(names, kind).items()]


def _filled(names: Names, kind: Kind) -> dict[str, str]:
    """Text by place inside the package; a kind's own files come over the common ones."""
    templates = files(__package__) / "templates"
    values = {**asdict(names), "kind": kind}
    return {
        Template(place.removesuffix(SUFFIX)).substitute(values): Template(text).substitute(values)
        for shelf in ("common", kind)
        for place, text in _texts(templates / shelf)
    }


def _texts(folder: Traversable, above: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        place = above + entry.name
        if entry.is_dir():
            found += _texts(entry, place + "/")
        elif place.endswith(SUFFIX):
            found.append((place, entry.read_text(encoding="utf-8")))
    return found


def _write(file: Path, text: str) -> Path:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:  # "x": never over somebody's file
            out.write(text)
    except OSError as error:
        raise ScaffoldError(f"{file} could not be written: {error.strerror}.") from error
    return file
