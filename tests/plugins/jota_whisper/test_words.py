"""Guards on what a model says it heard, and words that are not taken back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jota_whisper.engine.words import Steady, clean, is_invented, is_repeated

WORDS = st.lists(st.sampled_from(["uno", "dos", "Tres", "cuatro,", "¡cinco!"]), max_size=12)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("[Música] Hola", "Hola"), ("(applause)", ""), ("♪ la la ♪", ""), (" *tos* sí. ", "sí."),
        ("...", ""), ("Son las 10 (diez)", "Son las 10"), ("", ""),
    ],
)  # fmt: skip
def test_sounds_are_no_words(text: str, left: str) -> None:
    assert clean(text) == left


@pytest.mark.parametrize(
    ("text", "repeated"),
    [
        ("y luego y luego y luego y luego", True),
        ("it's insisted on it's insisted on it's insisted on", True),
        ("no no no no no", True),
        ("a" * 501, True),
        ("It was the season of light. It was the season of darkness.", False),
        ("no, no, no", False),
        ("We had everything before us, we had nothing before us", False),
        ("", False),
    ],
)  # fmt: skip
def test_running_in_circles(text: str, repeated: bool) -> None:
    assert is_repeated(text) is repeated


def test_phrases_for_silence_count_as_invented_only_without_speech() -> None:
    assert is_invented("Subtítulos realizados por la comunidad de Amara.org", 0.3)
    assert not is_invented("Subtítulos, por favor", 2.0)
    assert not is_invented("Enciende la luz", 0.3)


@given(st.lists(WORDS, max_size=8))
def test_what_two_hypotheses_agree_on_stays(hypotheses: list[list[str]]) -> None:
    steady, stays = Steady(), list[str]()
    for hypothesis in hypotheses:
        shown = steady.take(" ".join(hypothesis)).split()
        assert shown[: len(stays)] == stays, "it was taken back"
        assert steady.words[: len(stays)] == stays
        stays = list(steady.words)


def test_the_end_of_a_window_keeps_what_stays() -> None:
    steady = Steady()
    steady.take("enciende la")
    steady.take("enciende la luz")
    assert steady.settle("Enciende la luz del salón") == "enciende la luz del salón"
    assert steady.take("y otra") == "y otra"
