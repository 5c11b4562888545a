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
        """What is said in it; of unknown language: the most likely of the usual ones."""
        if not len(job.sound):
            return Decoded("", job.language)
        if job.language == "auto":
            tries = [self._quick(job, language) for language in self._languages]
            found = max(tries, key=lambda each: each[0])[1]
        else:
            found = Decoded("", job.language)
        if self._careful and job.kind is not Kind.PARTIAL:
            return self._once(job, found.language, 0)[1]
        return found if job.language == "auto" else self._quick(job, job.language)[1]

    def _quick(self, job: Job, language: str) -> tuple[float, Decoded]:
        """With as little context as will do; where that has failed, once more with all of it."""
        found = self._once(job, language, min(WHOLE, len(job.sound) // FRAME + SPARE[job.kind]))
        has_failed = not found[1].text and job.speech_s > SPOKEN_S
        return self._once(job, language, 0) if has_failed and job.kind is not Kind.PARTIAL else found

    def _once(self, job: Job, language: str, context: int) -> tuple[float, Decoded]:
        sound = job.sound
        if len(sound) < LEAST:
            sound = np.concatenate([sound, np.zeros(LEAST - len(sound), np.float32)])
        found: list[Any] = self._model.transcribe(
            sound, language=language, audio_ctx=context, translate=job.translate, extract_probability=True,
            initial_prompt=job.prompt, max_tokens=32 + 8 * (len(sound) // RATE),
        )  # fmt: skip
        segments = tuple(
            (each.t0 / 100, min(each.t1 / 100, len(sound) / RATE), each.text, 1 - each.probability)
            for each in found
        )
        text = " ".join(each.text for each in found)
        if not found or is_repeated(text):
            return 0.0, Decoded("", language)
        return float(np.mean([each.probability for each in found])), Decoded(text, language, segments)
