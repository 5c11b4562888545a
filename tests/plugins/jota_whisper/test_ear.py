"""Where windows are cut and what is decoded when: the ear alone, with a scripted detector and scripted texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jota_whisper.engine.ear import Decoded, Ear, Kind, Wish
from jota_whisper.engine.voice import CHUNK, CHUNK_S, Voice

SPEECH = np.full(CHUNK, 0.2, np.float32) * np.where(np.arange(CHUNK) % 2, 1, -1).astype(np.float32)
SILENCE = np.zeros(CHUNK, np.float32)


def loud(pcm16: bytes) -> float:
    return 0.9 if np.abs(np.frombuffer(pcm16, np.int16)).max() > 3000 else 0.05


class Bench:
    """An ear with a decoder that counts."""

    def __init__(self, **wish: Any) -> None:
        wished: dict[str, Any] = {"language": "es", "ends_itself": False, **wish}
        self.ear = Ear(Wish(**wished), Voice(loud, 0.5))
        self.passes: list[tuple[Kind, float]] = []
        self.told: list[dict[str, Any]] = []

    def hear(self, speech: bool, seconds: float) -> None:
        for _ in range(round(seconds / CHUNK_S)):
            self.ear.hear(SPEECH if speech else SILENCE)
            self.decode()

    def decode(self) -> None:
        while (job := self.ear.job()) is not None:
            self.passes.append((job.kind, len(job.sound) / 16_000))
            text = " ".join(f"w{n}" for n in range(int(job.speech_s * 2)))
            self.told += self.ear.done(job, Decoded(text, "es", ((0.0, 1.0, text, 0.1),) if text else ()))

    def end(self) -> dict[str, Any]:
        self.ear.end()
        self.decode()
        assert self.ear.is_over
        return self.told[-1]


def test_silence_costs_no_decoding_and_keeps_no_sound() -> None:
    bench = Bench(limit_s=100)
    bench.hear(False, 60)
    assert bench.passes == [] and bench.ear.taken_s > 59
    final = bench.end()
    assert (final["text"], final["ended_by"]) == ("", "caller") and bench.passes == [(Kind.FINAL, 0.0)]


def test_partials_come_early_and_often() -> None:
    bench = Bench()
    bench.hear(False, 1)
    bench.hear(True, 0.7)
    assert [told["is"] for told in bench.told] == ["partial"]
    bench.hear(True, 2)
    assert [kind for kind, _ in bench.passes].count(Kind.PARTIAL) >= 4


def test_a_pause_ends_a_window_and_the_final_has_only_the_rest() -> None:
    bench = Bench()
    for _ in range(3):
        bench.hear(True, 4.5)
        bench.hear(False, 0.7)
    bench.hear(True, 1)
    final = bench.end()
    pieces = [seconds for kind, seconds in bench.passes if kind is Kind.PIECE]
    assert len(pieces) == 3 and all(4 < seconds < 6 for seconds in pieces)
    assert bench.passes[-1][0] is Kind.FINAL and bench.passes[-1][1] < 2
    assert [segment[0] for segment in final["segments"]] == sorted(
        segment[0] for segment in final["segments"]
    )


def test_who_speaks_without_a_pause_is_cut_where_it_is_quiet() -> None:
    bench = Bench()
    bench.hear(True, 30)
    pieces = [seconds for kind, seconds in bench.passes if kind is Kind.PIECE]
    assert len(pieces) >= 3 and all(4 <= seconds <= 9 for seconds in pieces)


def test_it_ends_itself_after_speech_not_before() -> None:
    bench = Bench(ends_itself=True)
    bench.hear(False, 5)
    assert not bench.ear.is_over
    bench.hear(True, 1.2)
    bench.hear(False, 1.0)
    assert bench.ear.is_over and bench.told[-1]["ended_by"] == "silence"
    bench.hear(True, 1)
    assert bench.ear.job() is None


def test_the_limit_ends_it_with_what_was_said() -> None:
    bench = Bench(limit_s=3.0)
    bench.hear(True, 5)
    assert (
        bench.told[-1]["is"] == "final" and bench.told[-1]["ended_by"] == "limit" and bench.told[-1]["text"]
    )


def test_without_partials_there_is_only_a_final() -> None:
    bench = Bench(partials=False)
    bench.hear(True, 2)
    bench.end()
    assert [told["is"] for told in bench.told] == ["final"] and len(bench.passes) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.floats(0.05, 6)), max_size=12), st.booleans(), st.integers(1, 5000)
)
def test_any_history_ends_in_one_final_and_every_sound_is_decoded_once(
    history: list[tuple[bool, float]], ends_itself: bool, piece: int
) -> None:
    bench = Bench(ends_itself=ends_itself)
    sound = [np.tile(SPEECH if speech else SILENCE, round(s / CHUNK_S)) for speech, s in history]
    stream = np.concatenate([*sound, SILENCE[:0]])
    for start in range(0, len(stream), piece):
        bench.ear.hear(stream[start : start + piece])
        bench.decode()
    if not bench.ear.is_over:
        bench.end()
    assert [told["is"] for told in bench.told].count("final") == 1 and bench.told[-1]["is"] == "final"
    decoded = sum(seconds for kind, seconds in bench.passes if kind is not Kind.PARTIAL)
    assert decoded <= len(stream) / 16_000 + 0.001


@pytest.mark.parametrize("level", [0.0, 0.0002, 0.004])
def test_a_room_that_is_always_as_loud_asks_nobody(level: float) -> None:
    asked = []

    def detector(pcm16: bytes) -> float:
        asked.append(1)
        return 0.0

    voice, noise = Voice(detector, 0.5), np.random.default_rng(1)
    for _ in range(1000):
        assert not any(speech for _, speech in voice.judge(noise.normal(0, level, CHUNK).astype(np.float32)))
    assert len(asked) < 100
