"""Text as it is said, and the language it is in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jota_speech.languages import language_of
from jota_speech.speakable import speakable


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        ("**Hola**, _Ana_", "es", "Hola , Ana"),
        ("Son 21,5 °C", "es", "Son veintiuno coma cinco grados"),
        ("1.250 euros", "es", "mil doscientos cincuenta euros"),
        ("El 40% de 3 kg", "es", "El cuarenta por ciento de tres kilos"),
        ("3,05 m", "es", "tres coma cero cinco metros"),
        ("A las 7:30", "es", "A las siete y treinta"),
        ("Código 0471", "es", "Código cero cuatro siete uno"),
        ("Cuesta 12 €", "es", "Cuesta doce euros"),
        ("It costs $5", "en", "It costs 5 dollars"),
        ("70 km/h", "en", "70 kilometres per hour"),
        ("# Title\n- one\n- two", "en", "Title one two"),
        ("See [the page](http://x.y/z) 🙂", "en", "See the page"),
        ("https://jota.example/a?b", "es", "enlace"),
        ("```python\nprint(1)\n``` ya", "es", "ya"),
        ("5 manzanas", "es", "cinco manzanas"),
        ("🙂", "en", ""),
        ("---", "en", ""),
    ],
)  # fmt: skip
def test_markup_units_and_numbers(text: str, language: str, said: str) -> None:
    assert speakable(text, language) == said


@given(st.text(max_size=200), st.sampled_from(["es", "en"]))
def test_any_text_becomes_words(text: str, language: str) -> None:
    said = speakable(text, language)
    assert "\n" not in said and "*" not in said and "`" not in said


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("La luz del salón está encendida.", "es"), ("The light in the hall is on.", "en"),
        ("¿Qué tal?", "es"), ("Hello!", "en"), ("Vale", "es"), ("4711", "en"),
    ],
)  # fmt: skip
def test_which_language(text: str, language: str) -> None:
    assert language_of(text) == language
