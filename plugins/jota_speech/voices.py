"""The voices: each turns plain words into sound with 24,000 samples a second. They run in threads."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Protocol

import numpy as np

# onnxruntime tells Microsoft what it runs, from 1.29 on, unless this stands in the environment before
# it is imported. What is said in this house is nobody else's business.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
KOKORO_PACE = 0.95
KOKORO_LONGEST = 480
"""Sounds that the model takes at once."""


class Speaker(Protocol):
    """One voice."""

    def say(self, text: str, speed: float) -> np.ndarray:
        """float32 mono."""


class Hibari:
    """English, from its wheel."""

    def __init__(self, threads: int) -> None:
        from hibari import Hibari as Voice

        self._voice = Voice(threads=threads)

    def say(self, text: str, speed: float) -> np.ndarray:
        """See `Speaker`."""
        return np.asarray(self._voice(text, speed=min(2.0, max(0.5, speed))), np.float32)


class Kokoro:
    """Spanish: Kokoro's model with the mean of the styles that the registry has, which are Japanese ones."""

    def __init__(self, folder: Path, threads: int) -> None:
        import onnxruntime

        # It complains that the parts for other languages are not installed.
        logging.getLogger("piper_plus_g2p.registry").setLevel(logging.ERROR)
        from piper_plus_g2p.spanish import SpanishPhonemizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._model = onnxruntime.InferenceSession(str(folder / "kokoro.onnx"), options)
        self._numbers: dict[str, int] = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))[
            "vocab"
        ]
        with np.load(folder / "styles.npz") as styles:
            found = [styles[name].reshape(len(styles[name]), -1) for name in styles]
        self._style = np.asarray(np.mean(found, axis=0), np.float32)
        self._sounds = SpanishPhonemizer()

    def say(self, text: str, speed: float) -> np.ndarray:
        """See `Speaker`."""
        sounds = [self._numbers[each] for each in self._sounds.phonemize(text) if each in self._numbers]
        pieces = [sounds[start : start + KOKORO_LONGEST] for start in range(0, len(sounds), KOKORO_LONGEST)]
        return np.concatenate([self._piece(each, speed) for each in pieces] or [np.zeros(0, np.float32)])

    def _piece(self, sounds: list[int], speed: float) -> np.ndarray:
        given = {
            "tokens": np.array([[0, *sounds, 0]], np.int64),
            "style": self._style[min(len(sounds), len(self._style) - 1)].reshape(1, -1),
            "speed": np.array([speed * KOKORO_PACE], np.float32),
        }
        return np.asarray(self._model.run(None, given)[0], np.float32).reshape(-1)
