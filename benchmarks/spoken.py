"""Recorded speech, and how well it was understood."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import soundfile

FOLDER = Path(__file__).parents[1] / "tests" / "speech"
SAID: dict[str, str] = json.loads((FOLDER / "said.json").read_text())
RATE = 16_000


def recording(name: str, before_s: float = 0.3, after_s: float = 0.0) -> np.ndarray:
    """float32 mono, 16,000 samples a second, with silence around it."""
    samples, rate = soundfile.read(FOLDER / f"{name}.flac", dtype="float32")
    assert rate == RATE
    return np.concatenate([silence(before_s), samples, silence(after_s)])


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.float32)


def words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFD", text.lower())
    return re.findall(r"\w+", "".join(letter for letter in plain if not unicodedata.combining(letter)))


def errors(name: str, heard: str) -> int:
    """Words that were missed, made up or taken for others."""
    return words_missed(SAID[name], heard)


def words_missed(text: str, heard: str) -> int:
    """Words of `text` that were missed, made up or taken for others."""
    said, found = words(text), words(heard)
    costs = list(range(len(found) + 1))
    for row, word in enumerate(said, 1):
        before, costs[0] = costs[0], row
        for column, other in enumerate(found, 1):
            change = before + (word != other)
            before, costs[column] = costs[column], min(costs[column] + 1, costs[column - 1] + 1, change)
    return costs[-1]
