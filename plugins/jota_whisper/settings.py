"""What `jota.yaml` may say in a section of this plugin."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import Field

from jota_core.api import Settings


class WhisperSettings(Settings):
    """Speech to text by whisper.cpp on this machine."""

    model: str = "whisper-base"
    """Name of a model (`jota models list`), or a ggml file."""
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$|^auto$")] = "auto"
    """What is spoken: `es`, `en`, …; `auto` takes the likelier one of `languages`."""
    languages: Annotated[tuple[str, ...], Field(min_length=1, max_length=4)] = ("es", "en")
    """Languages of this house; `auto` finds out which of them is spoken."""
    careful: bool = True
    """Decode what is final with the model's whole context: fewer wrong words, 0.7 s later on two cores."""
    slots: Annotated[int, Field(ge=1, le=16)] = 1
    """Pieces of speech decoded at once; each takes memory for a model of its own."""
    streams: Annotated[int, Field(ge=1, le=256)] = 8
    """Utterances heard at once; one more is refused with `engine_busy`."""
    threads: Annotated[int, Field(ge=0, le=64)] = 0
    """Threads of each slot; 0 shares out the cores, four at most each."""
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """How sure the ear must be that somebody speaks, where nothing else was asked for."""
    final_wait_s: Annotated[float, Field(gt=0, le=60)] = 3.0
    """Seconds that the last words wait for a slot; then the text so far is given, marked as incomplete."""

    def threads_of_slot(self) -> int:
        """Threads of each slot."""
        return self.threads or max(1, min(4, (os.cpu_count() or 2) // self.slots))
