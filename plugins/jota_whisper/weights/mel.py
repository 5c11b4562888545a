"""The bank of mel filters that Whisper was trained with.

It is librosa's `filters.mel(sr=16000, n_fft=400, n_mels=80)`: Slaney's scale, each filter of unit area.
"""

from __future__ import annotations

import numpy as np

RATE, WINDOW, MELS = 16000, 400, 80
LINEAR_HZ = 200.0 / 3
"""Width of a mel below the bend."""
BEND_HZ = 1000.0
STEP = np.log(6.4) / 27.0
"""Of the logarithm of the frequency, for each mel above the bend."""


def filters() -> np.ndarray:
    """Weights of 80 filters for 201 frequencies, float32."""
    bins = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    edges = _hz(np.linspace(0, _mel(RATE / 2), MELS + 2))
    slopes = edges[:, None] - bins
    widths = np.diff(edges)[:, None]
    rising, falling = -slopes[:-2] / widths[:-1], slopes[2:] / widths[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    areas = 2.0 / (edges[2:] - edges[:-2])
    return np.asarray(triangles * areas[:, None], np.float32)


def _mel(hz: float) -> float:
    return float(BEND_HZ / LINEAR_HZ + np.log(hz / BEND_HZ) / STEP)  # only asked above the bend


def _hz(mels: np.ndarray) -> np.ndarray:
    bend = BEND_HZ / LINEAR_HZ
    above = BEND_HZ * np.exp(STEP * (mels - bend))
    return np.where(mels < bend, mels * LINEAR_HZ, above)
