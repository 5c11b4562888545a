"""Words as they are searched: without accents and capitals, the same on both databases."""

from __future__ import annotations

import re
from hashlib import sha256
from unicodedata import combining, normalize

LONGEST_WORD = 64
MOST_WORDS = 20_000
"""Of one message; what stands behind them is not found."""
MOST_ASKED = 16
_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """Each different word once, in the order in which they first stand."""
    plain = "".join(letter for letter in normalize("NFKD", text.casefold()) if not combining(letter))
    found = dict.fromkeys(word[:LONGEST_WORD] for word in _WORD.findall(plain))
    return list(found)[:MOST_WORDS]


def owner_word(owner: str) -> str:
    """A word that stands in each message of an owner, and in no text that anybody writes."""
    # A character for private use: both databases take it for a letter, `words_of` never gives one.
    return f"\ue000{sha256(owner.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"
