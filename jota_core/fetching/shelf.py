"""Shelves: each engine plugin that has models puts its own into `jota models` by an entry point.

The group is `jota.models`; an entry point names a `Shelf` class, which is made without arguments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from .files import Progress

GROUP = "jota.models"


@dataclass(frozen=True, slots=True)
class Entry:
    """One model that can be fetched by name."""

    name: str
    title: str
    size: int
    """Bytes, about."""
    memory_mb: int
    languages: tuple[str, ...]
    licence: str
    note: str


class Shelf(ABC):
    """Models of one plugin."""

    @abstractmethod
    def entries(self) -> Sequence[Entry]:
        """All that can be fetched by name."""

    @abstractmethod
    def path(self, name: str, data: Path) -> Path:
        """Where the model of this name is, or would be, in a data folder."""

    @abstractmethod
    def pull(self, name: str, data: Path, progress: Progress) -> Path:
        """Fetch it. Raises `PullFailed`."""


def shelves() -> list[Shelf]:
    """Those of every installed plugin."""
    return [entry.load()() for entry in entry_points(group=GROUP)]


def shelf_of(name: str) -> Shelf | None:
    """The shelf that has a model of this name."""
    return next((shelf for shelf in shelves() if any(name == each.name for each in shelf.entries())), None)
