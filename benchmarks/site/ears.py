"""Ears that hear nothing, but note when each frame of a stream has come, in `heard.txt` beside this file."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from struct import pack, unpack_from

from jota_core.api import (
    Heard,
    Plugin,
    Settings,
    Transcript,
    TranscriptionBackend,
    Utterance,
    hookimpl,
)

FRAME_BYTES = 960 * 4
HEARD = Path(__file__).with_name("heard.txt")


class NotingEars(TranscriptionBackend):
    """A frame's name stands in its first three samples."""

    available = True
    languages = ("en",)

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[Heard, None]:
        with HEARD.open("a", buffering=1) as file:
            while sound := await utterance.read():
                at = time.monotonic()
                for place in range(0, len(sound), FRAME_BYTES):
                    name = (round(each * 32_768) for each in unpack_from("<fff", sound, place))
                    file.write(f"{pack('<hhh', *name).hex()} {at}\n")
        yield Transcript("", is_final=True, language="en")


class Ears(Plugin[Settings]):
    """Offers them."""

    @hookimpl
    def jota_backends(self) -> Sequence[TranscriptionBackend]:
        return [NotingEars()]
