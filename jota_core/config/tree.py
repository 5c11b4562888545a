"""A configuration's values with the place of each, and what was found wrong so far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .problems import Place, Problem

Path_ = tuple[str | int, ...]
HIDDEN = "…"


@dataclass(slots=True)
class Tree:
    """Plain values, the place of each, and what was found wrong so far."""

    source: str
    value: dict[str, Any] = field(default_factory=dict)
    places: dict[Path_, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    hidden: dict[Path_, str] = field(default_factory=dict, repr=False)
    """Values that came by reference; no message ever shows them."""
    missing: set[Path_] = field(default_factory=set)
    """Where there is no value because it could not be read; that is told once and then enough."""

    def place(self, path: Path_) -> Place:
        """Where a value stands, or the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(self.source, 1, 1))

    def blame(self, path: Path_, sentence: str) -> None:
        """Note a problem; nothing more of a place whose value could not be read."""
        if not any(above in self.missing for above in prefixes(path)):
            self.problems.append(Problem(self.place(path), dotted(path), self.without_secrets(sentence)))

    def without_secrets(self, sentence: str) -> str:
        """The sentence without any value that came by reference."""
        for value in sorted(self.hidden.values(), key=len, reverse=True):
            if len(value) >= 4:
                sentence = sentence.replace(value, HIDDEN).replace(repr(value)[1:-1], HIDDEN)
        return sentence

    def hides(self, path: Path_) -> bool:
        """Whether a value, or one around it, came by reference."""
        return any(above in self.hidden for above in prefixes(path))

    def forget(self, path: Path_) -> None:
        """The value at `path` is about to be replaced: places below it mean nothing any more."""
        for place in [place for place in self.places if place[: len(path)] == path]:
            del self.places[place]


def prefixes(path: Path_) -> Iterator[Path_]:
    """`path` and everything around it."""
    return (path[:length] for length in range(1, len(path) + 1))


def dotted(path: Path_) -> str:
    """`plugins.app.listen`."""
    return ".".join(str(part) for part in path)


def no_text(value: str) -> str:
    """Why a text is none that files, paths and terminals can take; empty when it is one."""
    if "\0" in value:
        return "must not hold a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "holds half a surrogate pair or bytes that are not UTF-8; write the character itself"
    return ""
