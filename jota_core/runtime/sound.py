"""Sound of any kind that devices send, as transcription backends want it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jota_core.api import RATE, AudioFormat

if TYPE_CHECKING:
    import numpy as np


def converter(audio: AudioFormat) -> Callable[[bytes], bytes]:
    """What turns sound of this format into float32 mono with 16,000 samples a second, piece by piece.

    It takes whole samples; nothing means the end, and gives what was held back.
    """
    if audio == AudioFormat("float32"):
        return bytes
    if audio.rate == RATE:
        return lambda sound: _mono(audio, sound).tobytes()
    import soxr

    stream = soxr.ResampleStream(audio.rate, RATE, 1, dtype="float32", quality="MQ")
    return lambda sound: stream.resample_chunk(_mono(audio, sound), last=not sound).tobytes()


def _mono(audio: AudioFormat, sound: bytes) -> np.ndarray:
    import numpy as np

    if audio.encoding == "float32":
        samples = np.frombuffer(sound, "<f4")
    else:
        samples = np.frombuffer(sound, "<i2").astype(np.float32) / 32768
    return (
        samples.reshape(-1, audio.channels).mean(axis=1, dtype=np.float32) if audio.channels > 1 else samples
    )
