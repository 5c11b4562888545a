"""Recordings of every usual kind as sound for a backend. Runs in threads."""

from __future__ import annotations

import io

import numpy as np
import soundfile
import soxr

from jota_core.api import RATE, Code, Refused

KINDS = "wav, flac, ogg (Vorbis, Opus), mp3, aiff"


def decoded(data: bytes, most_s: float) -> np.ndarray:
    """float32 mono with 16,000 samples a second. Raises `Refused`."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate = file.samplerate
            if file.frames / rate > most_s:
                raise Refused(
                    Code.TOO_LARGE, f"The recording is longer than the {most_s:g} s that are taken."
                )
            samples = file.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, ValueError, ZeroDivisionError):
        raise Refused(Code.INVALID_REQUEST, f"The file is no recording that is known: {KINDS}.") from None
    mono = np.nan_to_num(samples.mean(axis=1, dtype=np.float32))
    return mono if rate == RATE else np.asarray(soxr.resample(mono, rate, RATE), np.float32)
