"""Problems: what is wrong in a configuration, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: a file's line and column (from 1), or the name of another source."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend; `path` is the setting's dotted name, empty for the whole file."""

    place: Place
    path: str
    sentence: str

    def __str__(self) -> str:
        parts = (_shown(str(self.place), 300), _shown(self.path, 120), _shown(self.sentence, 600))
        return ": ".join(part for part in parts if part)


class ConfigProblems(Exception):
    """Everything that is wrong, found in one go."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class UnknownPlugin(Exception):
    """No installed plugin and no file has this name; `known` are those that there are."""

    def __init__(self, name: str, known: Iterable[str] = (), sentence: str = "") -> None:
        self.name = name
        self.known = tuple(known)
        self.sentence = sentence or f"no plugin named {name!r} is installed{nearest(name, self.known)}"
        super().__init__(self.sentence)


class LeftOut(Exception):
    """Safe mode does not load this plugin."""


class BrokenPlugin(Exception):
    """A plugin's own code failed when it was imported; the rest of the host goes on without it."""

    def __init__(self, name: str, sentence: str) -> None:
        self.name = name
        self.sentence = sentence
        super().__init__(sentence)


def _shown(text: str, limit: int) -> str:
    """One line of bounded length, with nothing in it that could repaint a terminal."""
    clipped = text if len(text) <= limit else f"{text[:limit]}…"
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in clipped)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the nearest known name, or an empty text."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f' (did you mean "{close[0]}"?)' if close else ""
