"""Guards on what a model says it heard, and words that are not taken back."""

from __future__ import annotations

import re
from collections.abc import Sequence

ASIDE = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|♪[^♪]*♪?")
"""What Whisper writes for sounds that are no words."""
SIGNS = re.compile(r"[^\w']+")
LONGEST = 500
"""Characters of a single window; whoever says more is a model that repeats itself."""
INVENTED = (
    "amara.org", "gracias por ver", "suscríbete", "subtítulos", "thanks for watching",
    "thank you for watching", "subscribe to", "subtitles by",
)  # fmt: skip
"""What Whisper has learnt to write when nobody speaks."""


def clean(text: str) -> str:
    """The words without what was no speech."""
    text = " ".join(ASIDE.sub(" ", text).split())
    return text if SIGNS.sub("", text) else ""


def is_invented(text: str, speech_s: float) -> bool:
    """Whether it is a phrase for silence; only where there was hardly any speech."""
    return speech_s < 1.0 and any(phrase in text.lower() for phrase in INVENTED)


def is_repeated(text: str) -> bool:
    """Whether the model ran in circles: three words or more three times over, or a word five times."""
    words = [plain(word) for word in text.split()]
    if len(text) > LONGEST or _runs(words, 1, 5) or _runs(words, 2, 4):
        return True
    return any(_runs(words, size, 3) for size in range(3, len(words) // 3 + 1))


def _runs(words: Sequence[str], size: int, times: int) -> bool:
    """Whether `size` words stand `times` times in a row."""
    same = 0
    for here in range(len(words) - size):
        same = same + 1 if words[here] == words[here + size] else 0
        if same >= size * (times - 1):
            return True
    return False


def plain(word: str) -> str:
    """A word as it is compared: without capitals and signs."""
    return SIGNS.sub("", word).lower()


class Steady:
    """The words so far: what two hypotheses in a row agree on is never taken back."""

    def __init__(self) -> None:
        self.words: list[str] = []
        """The words that stay."""
        self._last: list[str] = []

    def take(self, hypothesis: str) -> str:
        """A new hypothesis of the same window; returns what may be shown."""
        words = hypothesis.split()
        agreed = _agreed(self._last, words)
        self._last = words
        if agreed > len(self.words) and _agreed(self.words, words) == len(self.words):
            self.words = words[:agreed]
        return " ".join([*self.words, *words[len(self.words) :]])

    def settle(self, text: str) -> str:
        """The window is over and this is its text; what stays of it in partials."""
        words = text.split()
        kept = [*self.words, *words[len(self.words) :]]
        self.words, self._last = [], []
        return " ".join(kept)


def _agreed(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words at the beginning are the same; the very last one may still grow."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if plain(a) != plain(b)), min(len(one), len(other)))
