"""Cuts a growing answer into sentences, each as soon as it is whole: sound starts before the text ends."""

from __future__ import annotations

import re

END = re.compile(r"(?<=[.!?…:;])[\"'»”)\]*_]*\s+|\n+")
CLAUSE = re.compile(r"(?<=,)\s+")
ABBREVIATION = re.compile(
    r"(?:^|\W)(?:\w|sr|sra|srta|dr|dra|ud|uds|etc|ej|pág|núm|av|mr|mrs|ms|prof|st|vs|e\.g|i\.e)\.$", re.I
)
FIRST_WORDS = 5
"""The first piece may end at a comma, once it has so many words: what is heard first matters most."""
LONGEST = 300
"""Characters without an end; then a piece ends at a space."""


class Sentences:
    """Takes pieces of text, gives whole sentences."""

    def __init__(self) -> None:
        self._text = ""
        self._is_first = True

    def add(self, text: str) -> list[str]:
        """What has become whole by this."""
        self._text += text
        found = []
        while (place := self._end()) is not None:
            found.append(self._text[:place].strip())
            self._text = self._text[place:]
            self._is_first = False
        return [each for each in found if each]

    def rest(self) -> str:
        """What is left at the end."""
        text, self._text = self._text.strip(), ""
        return text

    def _end(self) -> int | None:
        for match in END.finditer(self._text):
            before = self._text[: match.start()]
            if before.strip() and not ABBREVIATION.search(before):
                return match.end()
        if self._is_first:
            for match in CLAUSE.finditer(self._text):
                if len(self._text[: match.start()].split()) >= FIRST_WORDS:
                    return match.end()
        if len(self._text) > LONGEST:
            return self._text.rfind(" ", 0, LONGEST) + 1 or LONGEST
        return None
