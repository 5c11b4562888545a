"""What `jota.yaml` may say in a section of this plugin."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jota_core.api import Settings


class SpeechSettings(Settings):
    """Text to speech on this machine."""

    language: Literal["auto", "es", "en"] = "auto"
    """Language where nothing else was asked for; `auto` looks at the words of each sentence."""
    speed: Annotated[float, Field(ge=0.5, le=2)] = 1.0
    """Pace of the voices; asked-for paces are multiplied with it."""
    threads: Annotated[int, Field(ge=1, le=16)] = 2
    """Threads of one voice."""
    waiting: Annotated[int, Field(ge=1, le=1000)] = 32
    """Sentences that may wait to be said; one more is refused with `engine_busy`."""
