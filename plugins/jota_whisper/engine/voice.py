"""Whether somebody speaks: Silero VAD, asked only about sound that stands out from the room."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

CHUNK = 512
"""Samples that are judged at once: 32 ms."""
CHUNK_S = CHUNK / 16_000
QUIET = 0.0005
"""Root mean square below which nothing is speech (−66 dB)."""
LOUD = 0.01
"""Above it Silero is always asked (−40 dB)."""
STANDS_OUT = 1.8
RISES = 1.002
"""How fast the room's own level is believed to rise, for each chunk."""
HYSTERESIS = 0.15


class Detector(Protocol):
    """What tells how likely a chunk is speech."""

    def __call__(self, pcm16: bytes, /) -> float:
        """0 to 1, for 512 samples."""


class Voice:
    """Judges a stream chunk by chunk. `detector` keeps state, so it belongs to one stream."""

    def __init__(self, detector: Detector, threshold: float) -> None:
        self.detector = detector
        self._threshold = threshold
        self._floor: float | None = None
        self._is_speaking = False
        self._rest = np.zeros(0, np.float32)

    def judge(self, samples: np.ndarray) -> Iterator[tuple[np.ndarray, bool]]:
        """Each whole chunk with its verdict; what is left waits for more."""
        sound = np.concatenate([self._rest, samples])
        whole = len(sound) - len(sound) % CHUNK
        self._rest = sound[whole:]
        for chunk in sound[:whole].reshape(-1, CHUNK):
            yield chunk, self._is_speech(chunk)

    def rest(self) -> np.ndarray:
        """What was too short to be judged, at the end of a stream."""
        found, self._rest = self._rest, self._rest[:0]
        return found

    def _is_speech(self, chunk: np.ndarray) -> bool:
        level = float(np.sqrt(np.mean(np.square(chunk))))
        floor = level if self._floor is None else self._floor
        stands_out = level > QUIET and (level > LOUD or level > floor * STANDS_OUT)
        self._floor = max(QUIET / 2, min(level, floor * RISES))
        if not stands_out and not self._is_speaking:
            return False
        likely = self.detector((np.clip(chunk, -1, 1) * 32767).astype("<i2").tobytes())
        limit = self._threshold - (HYSTERESIS if self._is_speaking else 0.0)
        self._is_speaking = likely >= limit
        return self._is_speaking
