"""Which of our two languages a sentence is in: by its commonest words and its letters."""

from __future__ import annotations

import re

WORD = re.compile(r"[^\W\d_]+")
SPANISH = """
el la los las un una de del que y en es está son se por con para su al lo como más pero sí te tu mi me le ha
he hay muy ya o qué cómo cuando donde esta este eso hola gracias vale buenos buenas días hoy mañana
"""
ENGLISH = """
the a an of and to in is are was it that you i for on with as at be this have has not but they we he she or
from by what can will your my there here hello thanks okay good now today tomorrow yes
"""
COMMON = {"es": frozenset(SPANISH.split()), "en": frozenset(ENGLISH.split())}
LETTERS = frozenset("ñ¿¡áéíóú")


def language_of(text: str, usual: str = "en") -> str:
    """`es` or `en`; `usual` where nothing tells."""
    lower = text.lower()
    words = WORD.findall(lower)
    spanish = sum(word in COMMON["es"] for word in words) + 2 * sum(letter in LETTERS for letter in lower)
    english = sum(word in COMMON["en"] for word in words)
    if spanish == english:
        return usual
    return "es" if spanish > english else "en"
