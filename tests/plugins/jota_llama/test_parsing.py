"""What streams in any cut comes out whole: events, thoughts, calls; and heads of broken files."""

from __future__ import annotations

import itertools
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jota_core.api import Delta, Piece, ToolCall, Usage
from jota_llama.engine.pieces import PieceMaker
from jota_llama.engine.sse import LONGEST, EventReader, EventTooLong
from jota_llama.models.gguf import BrokenModel, Head, read_head


def cut(whole: list[str] | str, at: list[int]) -> list[str]:
    text = "".join(whole)
    places = sorted({0, len(text), *(place % (len(text) + 1) for place in at)})
    return [text[a:b] for a, b in itertools.pairwise(places)]


EVENTS = [{"choices": [{"delta": {"content": "¡olé 🕰️!"}}]}, {"a": "\n\n"}, {"b": [1, None]}]
STREAM = b"".join(b"data: " + json.dumps(e, ensure_ascii=False).encode() + b"\n\n" for e in EVENTS)


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_events_are_the_same_in_any_cut(at: list[int]) -> None:
    reader, places = EventReader(), sorted({0, len(STREAM), *at})
    parts = [STREAM[a:b] for a, b in itertools.pairwise(places)]
    assert [event for part in parts for event in reader.feed(part)] == EVENTS


@given(st.binary(max_size=300))
def test_noise_is_no_event_and_no_error(noise: bytes) -> None:
    reader = EventReader()
    reader.feed(noise + b"\n\n")
    assert reader.feed(STREAM) == EVENTS


def test_an_endless_event_is_refused() -> None:
    reader = EventReader()
    with pytest.raises(EventTooLong):
        for _ in range(LONGEST // 1_000_000 + 2):
            reader.feed(b"x" * 1_000_000)


def made(events: list[dict[str, object]], **how: bool) -> list[Piece]:
    maker = PieceMaker("model", forced=how.get("forced", False), constrained=how.get("constrained", False))
    pieces = [piece for event in events for piece in maker.make(event)]
    assert maker.whole == any("usage" in event for event in events)
    return pieces


def said(**delta: object) -> dict[str, object]:
    return {"choices": [{"delta": delta}]}


END: dict[str, object] = {
    "choices": [],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}},
}


def test_pieces_of_a_native_call_are_gathered() -> None:
    events = [
        said(tool_calls=[{"index": 0, "id": "c1", "function": {"name": "light", "arguments": '{"on"'}}]),
        said(tool_calls=[{"index": 1, "id": "c2", "function": {"name": "door", "arguments": "[1]"}}]),
        said(tool_calls=[{"index": 0, "function": {"arguments": ": true}"}}]),
        END,
    ]
    light, door, usage = made(events)
    assert light == ToolCall("c1", "light", {"on": True})
    assert door == ToolCall("c2", "door", {}), "arguments that are no object are left to the tool's schema"
    assert usage == Usage(9, 4, 3, "model", "tool_call")


@pytest.mark.parametrize("text", ['{"tool": 3, "arguments": {}}', "[]", "nonsense", '{"tool": "x"}'])
def test_what_is_no_call_is_none(text: str) -> None:
    pieces = made([said(content=text), END], forced=True)
    assert not [piece for piece in pieces if isinstance(piece, ToolCall | Delta)]


def test_thoughts_that_llama_cpp_tells_apart_stay_thoughts() -> None:
    pieces = made([said(reasoning_content="hm"), said(content="Yes"), END])
    assert pieces[:2] == [Delta("hm", "thought"), Delta("Yes")]


def test_a_constrained_answer_is_never_searched_for_tags() -> None:
    assert made([said(content="<think>x"), END], constrained=True)[0] == Delta("<think>x")


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


HEAD = b"".join(
    [
        b"GGUF", struct.pack("<IQQ", 3, 1, 4),
        text("general.architecture"), struct.pack("<I", 8), text("llama"),
        text("llama.block_count"), struct.pack("<II", 4, 2),
        text("llama.embedding_length"), struct.pack("<II", 4, 64),
        text("llama.context_length"), struct.pack("<II", 4, 2048),
        text("weight"), struct.pack("<IQIQ", 1, 32, 0, 0),
    ]
)  # fmt: skip


def test_a_head_tells_what_a_model_needs(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(HEAD + bytes(128))
    assert read_head(file) == Head("llama", "llama", len(HEAD) + 128, 2048, 2 * 2 * 1 * 128)


@settings(deadline=None)
@given(st.integers(0, len(HEAD) - 1), st.integers(0, 255), st.integers(0, len(HEAD) + 60))
def test_a_damaged_head_is_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int, length: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged.gguf"
    data = bytearray(HEAD + bytes(128))
    data[at] = byte
    file.write_bytes(data[:length])
    try:
        read_head(file)
    except BrokenModel as error:
        assert str(error).startswith(str(file))
        assert str(error).endswith(".")
