"""The prompt window: it always fits, begins with a user message and stays put from turn to turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jota_core.api import (
    BackendError,
    Capabilities,
    Code,
    Conversation,
    GenerateRequest,
    InferenceBackend,
    ModelInfo,
    Piece,
    Principal,
    StoredMessage,
    TurnDraft,
    Usage,
)
from jota_core.runtime import prompt
from jota_core.runtime.conversations import LiveConversation

NOW = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)


class WordCounter(InferenceBackend):
    """Only counts: one token for each word."""

    def __init__(self, room: int) -> None:
        self.room = room

    @property
    def available(self) -> bool:
        return True

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(context_window=self.room)

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        yield Usage(0, 0, 0)

    async def models(self) -> Sequence[ModelInfo]:
        return ()

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


def conversation() -> LiveConversation:
    return LiveConversation(Conversation(1, "ana", None, None, NOW, NOW))


def history(words: Sequence[int]) -> list[StoredMessage]:
    """Messages of so many words, user and assistant in turn."""
    return [
        StoredMessage(f"m{i}", 1, f"t{i // 2}", "assistant" if i % 2 else "user", "palabra " * count, NOW)
        for i, count in enumerate(words)
    ]


def fit(live: LiveConversation, stored: Sequence[StoredMessage], room: int) -> int:
    """Index in `stored` at which the window begins."""
    kept = asyncio.run(prompt.window(live, stored, ["system", "question"], WordCounter(room), room // 4))
    return len(stored) - len(kept)


@given(st.lists(st.integers(1, 40), max_size=40).map(lambda n: n[: len(n) // 2 * 2]), st.integers(64, 600))
def test_the_window_fits_and_begins_with_a_user(words: list[int], room: int) -> None:
    stored = history(words)
    start = fit(conversation(), stored, room)
    assert start == len(stored) or stored[start].role == "user"
    assert sum(n + prompt.MESSAGE_OVERHEAD for n in words[start:]) <= room - room // 4


def test_the_window_moves_rarely_and_by_a_good_step() -> None:
    live, starts = conversation(), []
    for turns in range(1, 60):
        starts += [fit(live, history([5, 9] * turns), 400)]
    moves = sum(1 for a, b in zip(starts, starts[1:], strict=False) if a != b)
    assert starts[-1] > 80, "a long conversation must lose its oldest messages"
    assert moves <= 59 / 3, "the prefix would be evaluated anew in most turns"


def test_the_window_moves_by_a_step_when_memory_recalls_no_more() -> None:
    live = conversation()
    recalled = history([1, 1] * 30)
    starts = [recalled[i : i + 20][fit(live, recalled[i : i + 20], 4000) :][0].id for i in range(0, 40, 2)]
    assert len(set(starts)) < len(starts) / 2


def test_a_message_longer_than_the_model_is_refused_in_a_sentence() -> None:
    with pytest.raises(BackendError) as refusal:
        asyncio.run(prompt.window(conversation(), [], ["word " * 200], WordCounter(100), 50))
    assert refusal.value.code is Code.CONTEXT_TOO_LONG
    assert "100 tokens" in refusal.value.sentence


def test_volatile_lines_stand_last_and_are_repeated_as_they_were() -> None:
    draft = TurnDraft("t", 1, Principal("ana"), "hola", "Be kind.", notes=("Now: Monday",))
    first = prompt.build(draft)
    assert [m.role for m in first] == ["system", "user"]
    assert first[-1].content == "hola\n\n(Now: Monday)"
    kept = StoredMessage("m", 1, "t", "user", "hola", NOW, note="Now: Monday")
    assert prompt.as_message(kept) == first[-1]
