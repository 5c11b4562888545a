"""One whisper.cpp context: decodes one piece of sound at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .ear import RATE, Decoded, Job, Kind
from .words import is_repeated

MAGIC = b"lmgg"
LEAST = int(1.1 * RATE)
"""Shorter sound is made longer by silence; whisper.cpp hears nothing in less than a second."""
FRAME = 320
"""Samples of one position of the encoder."""
SPARE = {Kind.PARTIAL: 48, Kind.PIECE: 128, Kind.FINAL: 128}
"""Positions beyond the sound; with fewer the last words are lost, with more it takes longer."""
WHOLE = 1500
SPOKEN_S = 0.4
"""So much speech has words."""


class Recogniser:
    """Belongs to one thread."""

    def __init__(self, model: Path, threads: int, languages: Sequence[str], *, careful: bool = True) -> None:
        from pywhispercpp.model import Model

        with model.open("rb") as file:
            if file.read(4) != MAGIC:  # the library would go on without a model, and crash later
                raise ValueError("it is no ggml file")
        self._model = Model(
            str(model), redirect_whispercpp_logs_to=None, n_threads=threads, print_progress=False,
            print_realtime=False, temperature_inc=0.0, suppress_nst=True,
        )  # fmt: skip
        self._languages = languages
        self._careful = careful

    def decode(self, job: Job) -> Decoded:
        """What is said in it; of unknown language: the likeliest of the usual ones."""
        if not len(job.sound):
            return Decoded("", job.language)
        sound = _long_enough(job.sound)
        quick = min(WHOLE, len(job.sound) // FRAME + SPARE[job.kind])
        language = self._detected(sound, quick) if job.language == "auto" else job.language
        if self._careful and job.kind is not Kind.PARTIAL:
            return self._once(job, sound, language, 0)
        found = self._once(job, sound, language, quick)
        # Where little context has failed: once more with all of it.
        has_failed = not found.text and job.speech_s > SPOKEN_S and job.kind is not Kind.PARTIAL
        return self._once(job, sound, language, 0) if has_failed else found

    def _detected(self, sound: np.ndarray, context: int) -> str:
        if len(self._languages) == 1:
            return self._languages[0]
        # A tenth of a second is too short to decode: this only sets the context of the detector.
        self._model.transcribe(sound, audio_ctx=context, duration_ms=100)
        _, likely = self._model.auto_detect_language(sound)
        return max(self._languages, key=lambda each: likely.get(each, 0.0))

    def _once(self, job: Job, sound: np.ndarray, language: str, context: int) -> Decoded:
        found: list[Any] = self._model.transcribe(
            sound, language=language, audio_ctx=context, duration_ms=0, translate=job.translate,
            extract_probability=True, initial_prompt=job.prompt, max_tokens=32 + 8 * (len(sound) // RATE),
        )  # fmt: skip
        segments = tuple(
            (each.t0 / 100, min(each.t1 / 100, len(sound) / RATE), each.text, 1 - each.probability)
            for each in found
        )
        text = " ".join(each.text for each in found)
        return Decoded("", language) if is_repeated(text) else Decoded(text, language, segments)


def _long_enough(sound: np.ndarray) -> np.ndarray:
    return np.concatenate([sound, np.zeros(max(0, LEAST - len(sound)), np.float32)])
