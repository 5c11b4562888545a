"""The client against our own center: the whole way from turn to backend over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jota_core.api import (
    BackendError,
    Code,
    Constraint,
    Delta,
    GenerateRequest,
    InferenceBackend,
    Message,
    Outcome,
    Piece,
    Principal,
    Sampling,
    ToolCall,
    ToolSpec,
    Usage,
)
from jota_core.testing import CollectingSink, Script, ScriptedBackend, ask, free_port, until
from jota_core.testing.contracts.inference import InferenceBackendContract

from .conftest import Orchestrate, RunCenter


def request(text: str = "Hello?", conversation: str = "1", **members: Any) -> GenerateRequest:
    return GenerateRequest(conversation, (Message("user", text),), **members)


async def pieces(backend: InferenceBackend, asked: GenerateRequest) -> list[Piece]:
    async with asyncio.timeout(10):
        return [piece async for piece in backend.generate(asked)]


class Counting(ScriptedBackend):
    """Counts aloud up to `max_tokens`, slowly enough to be cut."""

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        most = request.sampling.max_tokens or 0
        self.running += 1
        try:
            for number in range(most):
                await asyncio.sleep(0.002)
                yield Delta(f"{number} ")
            yield Usage(len(request.messages), 1, most, "scripted", "length")
        finally:
            self.running -= 1


class TestContract(InferenceBackendContract):
    abort_s = 0.25

    @pytest.fixture
    async def backend(
        self, run_center: RunCenter, orchestrate: Orchestrate
    ) -> AsyncIterator[InferenceBackend]:
        async with run_center(Counting()) as url, orchestrate(url) as made:
            yield made.backend


async def test_everything_of_a_request_arrives_and_everything_of_an_answer_returns(
    run_center: RunCenter, orchestrate: Orchestrate
) -> None:
    call = ToolCall("c1", "light", {"on": True})
    far = ScriptedBackend(Script([Delta("hm", "thought"), Delta("¡Sí! 🕒"), call]), "Done.")
    tool = ToolSpec("light", "Switches the light.", {"type": "object"})
    first = GenerateRequest(
        "7",
        (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello."), Message("user", "Light!")),
        model="scripted",
        sampling=Sampling(0.0, 0.5, 40, 0.05, 1.1, 3, 99, ("END",)),
        constraint=Constraint("json_schema", {"type": "object"}),
        tools=(tool,),
        tool_choice="required",
        background=True,
    )  # fmt: skip
    second = GenerateRequest(
        "7", (*first.messages, Message("assistant", "", (call,)), Message("tool", "ok", (), "c1"))
    )
    async with run_center(far) as url, orchestrate(url) as made:
        said = await pieces(made.backend, first)
        assert (await pieces(made.backend, second))[0] == Delta("Done.")
    assert said == [Delta("hm", "thought"), Delta("¡Sí! 🕒"), call, Usage(5, 0, 2, "scripted", "tool_call")]
    got, then = far.requests
    assert (got.messages, got.sampling, got.constraint) == (first.messages, first.sampling, first.constraint)
    assert (got.tools, got.tool_choice, got.model, got.background) == ((tool,), "required", "scripted", True)
    assert then.messages == second.messages
    assert got.conversation == then.conversation, (
        "one conversation keeps its session, so its prefix stays warm"
    )


async def test_a_turn_across(run_center: RunCenter, orchestrate: Orchestrate) -> None:
    async with run_center("Four eyes.") as url, orchestrate(url) as made:
        sink = await ask(made.host.sessions, "What?")
        assert (sink.text, sink.ends[0].outcome) == ("Four eyes.", Outcome.COMPLETE)
        assert sink.ends[0].stats.model == "scripted"
        health = await made.host.health()
        (section,) = [each for each in health.sections if each.section == "llm"]
        assert health.ok
        assert "scripted at ws://127.0.0.1" in section.detail


async def test_who_leaves_aborts_at_once_and_the_session_is_used_again(
    run_center: RunCenter, orchestrate: Orchestrate
) -> None:
    far = ScriptedBackend(Script("one two three", hang_at=1), "next")
    async with run_center(far, max_sessions=1) as url, orchestrate(url) as made:
        sink = CollectingSink()
        session = await made.host.sessions.open(Principal("u"), sink, door="test")
        turn = session.submit("Count.")
        await sink.until_text("one")
        session.cancel(turn)
        async with asyncio.timeout(0.25):
            await far.until_aborted()
        assert (await sink.end(turn)).outcome is Outcome.INTERRUPTED
        assert (await sink.end(session.submit("Again."))).outcome is Outcome.COMPLETE
        await session.close()


async def test_turns_queue_for_few_sessions_and_background_comes_last(
    run_center: RunCenter, orchestrate: Orchestrate
) -> None:
    far = ScriptedBackend(Script("a b c", between_s=0.05))
    order: list[str] = []

    async def one(name: str, background: bool = False) -> None:
        await pieces(made.backend, request(name, name, background=background))
        order.append(name)

    async with run_center(far, max_sessions=1) as url, orchestrate(url, waiting=4) as made:
        tasks = [asyncio.ensure_future(one("first"))]
        await far.until_running()
        for name, background in (("later", True), ("second", False), ("last", True), ("third", False)):
            tasks.append(asyncio.ensure_future(one(name, background)))
            await asyncio.sleep(0)
        await until(lambda: "4 turns wait" in made.backend.health().detail, "the line")
        with pytest.raises(BackendError) as refused:
            await pieces(made.backend, request("too many", "9"))
        await asyncio.gather(*tasks)
    assert (refused.value.code, refused.value.retry_after_s) == (Code.ENGINE_BUSY, 5.0)
    assert order == ["first", "second", "third", "later", "last"]
    assert far.most_running == 1


async def test_errors_of_the_far_backend_keep_their_codes(
    run_center: RunCenter, orchestrate: Orchestrate
) -> None:
    codes = [Code.CONTEXT_TOO_LONG, Code.ENGINE_BUSY, Code.STALLED, Code.INTERNAL, Code.BACKEND_UNAVAILABLE]
    far = ScriptedBackend(*(Script("a b", fail_at=1, error=BackendError(code, "Why.")) for code in codes))
    async with run_center(far, max_sessions=2) as url, orchestrate(url) as made:
        for code in codes:
            with pytest.raises(BackendError) as failed:
                await pieces(made.backend, request())
            assert failed.value.code is code
        await until(
            lambda: "0 of 0" in made.backend.health().detail, "sessions to be closed after their errors"
        )


async def test_a_center_that_goes_and_comes(run_center: RunCenter, orchestrate: Orchestrate) -> None:
    port = free_port()
    hanging = ScriptedBackend(Script("one two three", hang_at=2))
    async with orchestrate(f"ws://127.0.0.1:{port}") as made:
        assert not made.backend.available
        refused = await ask(made.host.sessions, "Hello?")
        assert refused.ends[0].error is not None
        assert refused.ends[0].error.code == Code.BACKEND_UNAVAILABLE
        sink = CollectingSink()
        session = await made.host.sessions.open(Principal("u"), sink, door="test")
        async with run_center(hanging, port):
            await until(lambda: made.backend.available, "the connection", 5)
            cut = session.submit("Count.")
            await sink.until_text("two")
        ended = await sink.end(cut, 1)
        assert (ended.outcome, ended.error and ended.error.code) == (Outcome.INTERRUPTED, Code.UPSTREAM_LOST)
        async with run_center("back", port):
            await until(lambda: made.backend.available, "the connection", 1.5)
            assert (await sink.end(session.submit("And now?"))).outcome is Outcome.COMPLETE
        await session.close()


async def test_wrong_keys_are_said_and_tried_slowly(run_center: RunCenter, orchestrate: Orchestrate) -> None:
    async with run_center() as url, orchestrate(url, key="wrong") as made:
        assert not made.backend.available
        assert "does not accept the client id 'orch-1'" in made.backend.health().detail


async def test_models_are_listed_loaded_and_unloaded(run_center: RunCenter, orchestrate: Orchestrate) -> None:
    async with run_center() as url, orchestrate(url) as made:
        (model,) = await made.backend.models()
        assert (model.id, model.loaded) == ("scripted", True)
        await made.backend.load("scripted")
        await made.backend.unload("scripted")
        with pytest.raises(BackendError) as refused:
            await made.backend.load("nobody")
        assert refused.value.code is Code.MODEL_NOT_FOUND
