"""Thoughts and tool calls that a model writes between tags into its answer, told apart while it streams.

For engines that do not separate them themselves. Thoughts count only before the answer begins: tags later
in it are text about tags. Tool calls count anywhere in the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

Kind = Literal["content", "thought", "tool_call"]

THOUGHTS: dict[str, Kind] = {"<think>": "thought", "<thought>": "thought"}
CALLS: dict[str, Kind] = {"<tool_call>": "tool_call"}


class TagSplitter:
    """Takes pieces of text in any cut; yields them with their kind, tags left out, never empty."""

    __slots__ = ("_always", "_begins", "_closer", "_held", "_kind", "_strip")

    def __init__(self, *, calls: bool = False) -> None:
        self._always = CALLS if calls else {}
        self._begins = True
        self._strip = False
        self._kind: Kind = "content"
        self._closer = ""
        self._held = ""

    def feed(self, text: str) -> Iterator[tuple[Kind, str]]:
        """Take the next piece."""
        if not (self._begins or self._held or "<" in text) and self._kind == "content":
            yield "content", text
            return
        self._held += text
        while self._held:
            before = (self._kind, self._begins, len(self._held))
            said = self._open() if self._kind == "content" else self._close()
            if said[1]:
                yield said
            if before == (self._kind, self._begins, len(self._held)):
                return  # what is held may be the beginning of a tag

    def end(self) -> Iterator[tuple[Kind, str]]:
        """Nothing more comes: give out what was held back."""
        text, self._held = self._held, ""
        if text:
            yield self._kind, text

    def _open(self) -> tuple[Kind, str]:
        """Text of the answer up to the next tag that counts."""
        if self._begins:
            return self._begin()
        text, tag = self._cut(self._always)
        if tag:
            self._enter(tag, self._always[tag])
        return "content", text

    def _begin(self) -> tuple[Kind, str]:
        """Nothing of the answer has come yet."""
        start = self._held.lstrip()
        if self._strip:
            self._held = start  # blank lines between thought and answer
        tags = {**THOUGHTS, **self._always}
        tag = next((tag for tag in tags if start[: len(tag)].lower() == tag), None)
        if tag:
            self._held = start[len(tag) :]
            self._enter(tag, tags[tag])
        elif not any(tag.startswith(start.lower()) for tag in tags):
            self._begins = False
        return "content", ""

    def _close(self) -> tuple[Kind, str]:
        """What stands between tags, up to the closing one."""
        kind = self._kind
        text, tag = self._cut([self._closer])
        if tag:
            self._kind, self._strip = "content", True
        return kind, text

    def _enter(self, tag: str, kind: Kind) -> None:
        self._kind, self._closer = kind, f"</{tag[1:]}"

    def _cut(self, tags: Iterable[str]) -> tuple[str, str]:
        """The text before the first of the tags, and that tag; what may begin one stays held."""
        held = self._held
        found = re.search("|".join(tags), held, re.IGNORECASE | re.ASCII) if tags and "<" in held else None
        if found:
            self._held = held[found.end() :]
            return held[: found.start()], found[0].lower()
        at = held.rfind("<")
        if at < 0 or not any(tag.startswith(held[at:].lower()) for tag in tags):
            at = len(held)
        self._held = held[at:]
        return held[:at], ""
