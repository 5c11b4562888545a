"""Speech made by our own voices, and named as such: more sentences than there are free recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jota_speech.backend import LocalSpeech

RATE = 16_000
SENTENCES = (
    ("es", "Apaga la luz de la cocina y cierra las persianas del salón."),
    ("es", "¿Qué tiempo hará mañana por la tarde en la montaña?"),
    ("es", "Pon una alarma a las siete de la mañana y avísame cuando llueva."),
    ("es", "Recuérdame que tengo que comprar pan, leche y tomates."),
    ("en", "Turn off the lights in the kitchen and close the blinds."),
    ("en", "What will the weather be like tomorrow afternoon in the mountains?"),
    ("en", "Remind me to call my sister before dinner."),
    ("en", "Set the heating in the bathroom to twenty degrees."),
)


async def synthesised(mouth: LocalSpeech) -> list[tuple[str, str, np.ndarray]]:
    """Language, words and sound, with a little silence around it."""
    from jota_core.api import SpeakOptions

    made = []
    for language, text in SENTENCES:
        sound = [each async for each in mouth.speak(text, SpeakOptions(language))]
        made.append((language, text, _for_ears(b"".join(sound), mouth.rate)))
    return made


def _for_ears(pcm: bytes, rate: int) -> np.ndarray:
    import soxr

    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
    quiet = np.zeros(RATE // 4, np.float32)
    return np.concatenate([quiet, np.asarray(soxr.resample(samples, rate, RATE), np.float32), quiet])
