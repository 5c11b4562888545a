"""The models folder: what is installed, and which one is in use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .catalogue import STARTER, catalogue, named

CURRENT = "current"
SUFFIX = ".gguf"


class UnknownModel(Exception):
    """There is no such model; the text says what to do, for people."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One model file."""

    name: str
    """Catalogue name, or the file's name without `.gguf`; unique in its folder."""
    path: Path

    @property
    def size(self) -> int:
        """Bytes; 0 when it has just gone."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


class Library:
    """The folder `models` in a data folder; `current` in it names the model in use."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "models"

    def installed(self) -> list[Installed]:
        """Every model file there, by name."""
        paths = sorted(self.folder.glob(f"*{SUFFIX}"))
        return [Installed(_name(path), path) for path in paths if path.is_file()]

    def current(self) -> str:
        """Name of the model in use: the one chosen, else the starter."""
        try:
            return (self.folder / CURRENT).read_text(encoding="utf-8").strip() or STARTER
        except (OSError, UnicodeDecodeError):
            return STARTER

    def use(self, name: str) -> Installed:
        """Choose a model for every run from now on, a running host included. Raises `UnknownModel`."""
        model = self.find(name)
        if model is None:
            raise UnknownModel(missing(name))
        write(self.folder / CURRENT, model.name)
        return model

    def find(self, name: str) -> Installed | None:
        """The installed model of this name, or at this path; None when there is none."""
        path = Path(name).expanduser()
        if path.suffix == SUFFIX and (path.is_absolute() or path.parent != Path()):
            return Installed(_name(path), path.absolute()) if path.is_file() else None
        return next((model for model in self.installed() if name in (model.name, model.path.name)), None)

    def resolve(self, setting: str) -> Installed:
        """The model that the setting `model` means. Raises `UnknownModel`."""
        name = self.current() if setting == CURRENT else setting
        model = self.find(name)
        if model is None:
            raise UnknownModel(missing(name))
        return model


def missing(name: str) -> str:
    """A sentence for a model that is not there."""
    if Path(name).suffix == SUFFIX and not named(name):
        return f"There is no model file {name}. Put it there, or choose another: `jota models list`."
    if named(name):
        return f"The model {name!r} has not been fetched yet: `jota models pull {name}`."
    known = ", ".join(model.name for model in catalogue())
    return f"There is no model {name!r} here. `jota models pull NAME` fetches one of {known}."


def write(path: Path, text: str) -> None:
    """Write a small file at once or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _name(path: Path) -> str:
    known = named(path.name)
    return known.name if known else path.stem
