"""Scripted backends play what the test wrote down, through a real host."""

from __future__ import annotations

import pytest

from jota_core.api import BackendError, Code, Delta, Outcome, Principal, Progress
from jota_core.testing import CollectingSink, RunHost, Script, ScriptedBackend, ask
from jota_core.testing.contracts.inference import InferenceBackendContract


class TestContract(InferenceBackendContract):
    @pytest.fixture
    def backend(self) -> ScriptedBackend:
        return ScriptedBackend(Script("one two three", between_s=0.001))

    async def test_the_usage_adds_up(self) -> None:  # type: ignore[override]  # a script knows no limits
        """A script is played to its end, whatever the request's limits."""


async def test_scripts_are_played_in_order_and_the_last_one_again(run_host: RunHost) -> None:
    backend = ScriptedBackend("First.", Script([Progress(1, 2), Delta("hm", "thought"), "Second."]))
    async with run_host(plugins={"llm": backend}) as host:
        answers = [(await ask(host.sessions, "Well?")).text for _ in range(3)]
    assert answers == ["First.", "Second.", "Second."]
    assert [request.messages[-1].content[:5] for request in backend.requests] == ["Well?"] * 3


async def test_a_failure_comes_at_its_piece(run_host: RunHost) -> None:
    error = BackendError(Code.ENGINE_BUSY, "Full.", 3.0)
    backend = ScriptedBackend(Script("one two three", fail_at=2, error=error))
    async with run_host(plugins={"llm": backend}) as host:
        reply = await ask(host.sessions, "Count.")
    end = reply.ends[0]
    assert (reply.text, end.outcome, end.error and end.error.code) == (
        "one two ",
        Outcome.INTERRUPTED,
        "engine_busy",
    )
    assert backend.aborted == []


async def test_a_hanging_answer_can_be_cancelled_and_is_recorded(run_host: RunHost) -> None:
    backend = ScriptedBackend(Script("one two three", hang_at=1))
    async with run_host(plugins={"llm": backend}) as host:
        sink = CollectingSink()
        session = await host.sessions.open(Principal("ana"), sink, door="test")
        turn = session.submit("Count.")
        await sink.until_text("one ")
        assert backend.running == 1
        assert session.cancel(turn)
        assert (await sink.end(turn)).outcome is Outcome.INTERRUPTED
        await backend.until_aborted()
        await session.close()
    assert (backend.running, backend.most_running) == (0, 1)


async def test_a_test_can_take_a_backend_away(run_host: RunHost) -> None:
    backend = ScriptedBackend()
    backend.available = False
    async with run_host(plugins={"llm": backend}) as host:
        end = (await ask(host.sessions, "Anyone?")).ends[0]
    assert end.error is not None
    assert end.error.code is Code.BACKEND_UNAVAILABLE
