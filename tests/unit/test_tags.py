"""Thoughts and tool calls between tags come out the same however the text was cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jota_core.api import TagSplitter

TAGS = "<think> </think> <THOUGHT> </thought> <tool_call> </tool_call>"
WORDS = st.sampled_from([*TAGS.split(), "<", "think", "/", ">", "<thi", "</", "İ", "🕰️", "hola ", "\n"])


def split(parts: list[str], *, calls: bool) -> list[tuple[str, str]]:
    splitter = TagSplitter(calls=calls)
    said = [each for part in parts for each in splitter.feed(part)] + list(splitter.end())
    assert all(text for _, text in said)
    runs = itertools.groupby(said, key=lambda each: each[0])
    return [(kind, "".join(text for _, text in run)) for kind, run in runs]


@given(st.lists(WORDS, max_size=12), st.lists(st.integers(0, 200), max_size=12), st.booleans())
def test_kinds_are_the_same_in_any_cut(words: list[str], at: list[int], calls: bool) -> None:
    text = "".join(words)
    places = sorted({0, len(text), *(place % (len(text) + 1) for place in at)})
    parts = [text[a:b] for a, b in itertools.pairwise(places)]
    assert split(parts, calls=calls) == split([text], calls=calls)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>why</think>\n\nSo.", [("thought", "why"), ("content", "So.")]),
        ("  <Think>\nwhy", [("thought", "\nwhy")]),
        ("No <think>tags</think>", [("content", "No <think>tags</think>")]),
        ("<thought></thought>Yes", [("content", "Yes")]),
        ("<thin", [("content", "<thin")]),
        ("<think>a < b</think>Yes", [("thought", "a < b"), ("content", "Yes")]),
        ("", []),
    ],
)
def test_only_thoughts_at_the_beginning_are_thoughts(text: str, said: list[tuple[str, str]]) -> None:
    assert split(list(text), calls=False) == said
    assert split([text], calls=True) == said


def test_tool_calls_count_anywhere_where_they_are_wanted() -> None:
    text = "<think>hm</think>Let me see. <TOOL_CALL>{}</tool_call> Done."
    called = [("thought", "hm"), ("content", "Let me see. "), ("tool_call", "{}"), ("content", " Done.")]
    assert split(list(text), calls=True) == called
    plain = [("thought", "hm"), ("content", "Let me see. <TOOL_CALL>{}</tool_call> Done.")]
    assert split(list(text), calls=False) == plain
