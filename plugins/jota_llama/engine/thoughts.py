"""Thoughts that a model writes into its answer between tags, told apart while it streams.

llama.cpp separates the thoughts of templates that it knows; this is for the others. Only thoughts
at the very beginning count: tags later in an answer are text about tags.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from jota_core.api import Delta

OPEN, CLOSE = "<think>", "</think>"


class ThoughtSplitter:
    """Takes pieces of text in any cut; yields deltas, each `content` or `thought`."""

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._held = ""
        self._state: Literal["beginning", "thinking", "thought", "answering"] = "beginning"

    def feed(self, text: str) -> Iterator[Delta]:
        """Take the next piece."""
        if self._state == "answering":
            yield Delta(text)
            return
        self._held += text
        if self._state == "beginning":
            self._begin()
        if self._state == "thinking":
            yield from self._think()
        if self._state == "thought":
            self._held = self._held.lstrip()  # blank lines between thought and answer
            if self._held:
                self._state = "answering"
        if self._state == "answering":
            yield from self.end()

    def end(self) -> Iterator[Delta]:
        """Nothing more comes: give out what was held back."""
        text, self._held = self._held, ""
        if text:
            yield Delta(text, "thought" if self._state == "thinking" else "content")

    def _begin(self) -> None:
        start = self._held.lstrip()
        if start.startswith(OPEN):
            self._held, self._state = start[len(OPEN) :], "thinking"
        elif not OPEN.startswith(start):
            self._state = "answering"

    def _think(self) -> Iterator[Delta]:
        thought, tag, rest = self._held.partition(CLOSE)
        keep = "" if tag else _beginning_of_tag(thought)
        thought = thought[: len(thought) - len(keep)]
        self._held = rest if tag else keep
        if tag:
            self._state = "thought"
        if thought:
            yield Delta(thought, "thought")


def _beginning_of_tag(text: str) -> str:
    """The end of a text that may be the beginning of the closing tag."""
    at = text.rfind("<")
    return text[at:] if at >= 0 and CLOSE.startswith(text[at:]) else ""
