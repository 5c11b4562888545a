"""Turns through a real host with real SQLite: order, durability, cutting, faults of what lies behind."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from jota_core.api import (
    BackendError,
    Code,
    Delta,
    Outcome,
    Plugin,
    Principal,
    Refused,
    StoredMessage,
    Tool,
    ToolCall,
    ToolSpec,
    TurnBegan,
    TurnDraft,
    TurnEnded,
    TurnFinished,
    TurnOptions,
    hookimpl,
)
from jota_core.host import Host
from jota_core.testing import CollectingSink, RunHost, Script, ScriptedBackend, ask, until

ANA = Principal("ana")


async def stored(host: Host, sink: CollectingSink) -> Sequence[StoredMessage]:
    conversation = sink.ends[0].conversation_id
    assert conversation is not None
    return await host.sessions.memory.list_messages(conversation, "ana")


async def test_a_turn_is_began_deltas_end_and_all_of_it_is_stored(run_host: RunHost) -> None:
    async with run_host(plugins={"llm": ScriptedBackend("Four words are here.")}) as host:
        sink = await ask(host.sessions, "hola", user="ana")
        assert [type(event) for event in sink.events] == [TurnBegan, *[Delta] * 4, TurnEnded]
        end = sink.ends[0]
        assert (end.outcome, end.persisted, end.error) == (Outcome.COMPLETE, True, None)
        assert (end.stats.tokens, end.stats.backend, end.stats.model) == (4, "llm", "scripted")
        question, answer = await stored(host, sink)
        assert (question.role, question.content) == ("user", "hola")
        assert (answer.role, answer.content, answer.id) == (
            "assistant",
            "Four words are here.",
            end.message_id,
        )


async def test_the_message_is_durable_before_it_is_shown_to_the_model(run_host: RunHost) -> None:
    backend = ScriptedBackend(Script("x", hang_at=0))
    async with run_host(plugins={"llm": backend}) as host:
        sink = CollectingSink()
        session = await host.sessions.open(ANA, sink, door="test")
        session.submit("keep this")
        await backend.until_running()
        messages = await host.sessions.memory.list_messages(session.conversation_id or 0, "ana")
        assert messages[0].content == "keep this"
        await session.close()


async def test_the_prompt_repeats_every_earlier_byte(run_host: RunHost) -> None:
    backend = ScriptedBackend("One.", "Two.", "Three.")
    async with run_host(plugins={"llm": backend}) as host:
        for text in ("first", "second", "third"):
            await ask(host.sessions, text, user="ana")
        prompts = [request.messages for request in backend.requests]
        assert prompts[1][: len(prompts[0])] == prompts[0]
        assert prompts[2][: len(prompts[1])] == prompts[1]
        assert [message.role for message in prompts[2]] == ["system", *["user", "assistant"] * 2, "user"]
        assert prompts[2][-1].content.startswith("third\n\n(")
        assert len({request.conversation for request in backend.requests}) == 1


async def test_several_messages_are_served_in_order_and_too_many_are_busy(run_host: RunHost) -> None:
    backend = ScriptedBackend(Script("a b c", between_s=0.01))
    async with run_host({"turns": {"queue_limit": 3}}, plugins={"llm": backend}) as host:
        sink = CollectingSink()
        session = await host.sessions.open(ANA, sink, door="test")
        asked = [session.submit("0")]
        await backend.until_running()
        asked += [session.submit(str(number)) for number in range(1, 4)]
        with pytest.raises(Refused) as refusal:
            session.submit("one too many")
        assert refusal.value.code is Code.BUSY
        await until(lambda: len(sink.ends) == 4, "four ends")
        assert [end.turn_id for end in sink.ends] == asked
        assert backend.most_running == 1
        await session.close()


async def test_two_sessions_of_one_user_share_a_conversation_one_turn_at_a_time(run_host: RunHost) -> None:
    backend = ScriptedBackend(Script("a b c", between_s=0.01))
    async with run_host(plugins={"llm": backend}) as host:
        sinks = await asyncio.gather(*(ask(host.sessions, str(n), user="ana") for n in range(5)))
        assert len({sink.ends[0].conversation_id for sink in sinks}) == 1
        assert backend.most_running == 1
        await asyncio.gather(*(ask(host.sessions, "x", user=f"user{n}") for n in range(5)))
        assert backend.most_running > 1, "conversations of different users do not wait for each other"


@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_a_cut_answer_aborts_the_backend_and_keeps_the_text(run_host: RunHost, how: str) -> None:
    backend = ScriptedBackend(Script("The answer is long", hang_at=2))
    async with run_host(plugins={"llm": backend}) as host:
        sink = CollectingSink()
        session = await host.sessions.open(ANA, sink, door="test")
        session.submit("tell me")
        await sink.until_text("answer")
        began = time.monotonic()
        if how == "cancel":
            assert session.cancel()
        else:
            await session.close()
        await backend.until_aborted()
        assert time.monotonic() - began < 0.25
        end = await sink.end()
        assert end.outcome is Outcome.INTERRUPTED
        assert end.error is not None
        assert end.error.code is Code.CANCELLED
        assert (await stored(host, sink))[1].content == "The answer  [INTERRUPTED]"
        assert not session.cancel()
        await session.close()


async def test_a_queued_turn_can_be_cancelled(run_host: RunHost) -> None:
    backend = ScriptedBackend(Script("a", hang_at=0), "b")
    async with run_host(plugins={"llm": backend}) as host:
        sink = CollectingSink()
        session = await host.sessions.open(ANA, sink, door="test")
        first, second = session.submit("1"), session.submit("2")
        await backend.until_running()
        assert session.cancel(second)
        assert session.cancel(first)
        await until(lambda: len(sink.ends) == 2, "both ends")
        assert {end.outcome for end in sink.ends} == {Outcome.INTERRUPTED}
        assert len(backend.requests) == 1
        await session.close()


async def test_a_turn_can_be_cancelled_in_the_instant_in_which_it_was_asked(run_host: RunHost) -> None:
    backend = ScriptedBackend(Script("a", hang_at=0))
    async with run_host(plugins={"llm": backend}) as host:
        sink = CollectingSink()
        session = await host.sessions.open(ANA, sink, door="test")
        session.submit("1")
        assert session.cancel()
        assert (await sink.end()).outcome is Outcome.INTERRUPTED
        await session.close()


async def test_a_backend_lost_mid_answer_keeps_the_text_and_the_session(run_host: RunHost) -> None:
    backend = ScriptedBackend(Script("so far so good", fail_at=2), "All is well.")
    async with run_host(plugins={"llm": backend}) as host:
        sink = await ask(host.sessions, "one", user="ana")
        end = sink.ends[0]
        assert end.error is not None
        assert (end.outcome, end.error.code, end.persisted) == (Outcome.INTERRUPTED, Code.UPSTREAM_LOST, True)
        assert (await stored(host, sink))[1].content == "so far  [INTERRUPTED]"
        again = await ask(host.sessions, "two", user="ana")
        assert again.ends[0].outcome is Outcome.COMPLETE


async def test_a_silent_backend_is_given_up(run_host: RunHost) -> None:
    backend = ScriptedBackend(Script("never", hang_at=0), Script("some words", hang_at=1))
    limits = {"turns": {"first_token_s": 0.1, "between_tokens_s": 0.1}}
    async with run_host(limits, plugins={"llm": backend}) as host:
        first, second = [await ask(host.sessions, "x", user="ana") for _ in range(2)]
        assert first.ends[0].outcome is Outcome.FAILED
        assert second.ends[0].outcome is Outcome.INTERRUPTED
        for sink in (first, second):
            assert sink.ends[0].error is not None
            assert sink.ends[0].error.code is Code.STALLED
        assert len(backend.aborted) == 2


async def test_no_backend_is_told_at_once_and_the_message_is_kept(run_host: RunHost) -> None:
    backend = ScriptedBackend()
    async with run_host(plugins={"llm": backend}) as host:
        backend.available = False
        began = time.monotonic()
        sink = await ask(host.sessions, "still kept", user="ana")
        assert time.monotonic() - began < 0.1
        end = sink.ends[0]
        assert end.error is not None
        assert (end.outcome, end.error.code) == (Outcome.FAILED, Code.BACKEND_UNAVAILABLE)
        assert end.error.retry_after_s
        assert (await stored(host, sink))[0].content == "still kept"


async def test_a_backend_that_raises_anything_is_an_internal_error(run_host: RunHost) -> None:
    class Odd(ScriptedBackend):
        async def generate(self, request: Any) -> Any:
            yield Delta("half ")
            raise ZeroDivisionError("secret detail")

    async with run_host(plugins={"llm": Odd()}) as host:
        sink = await ask(host.sessions, "x", user="ana")
        assert sink.ends[0].error is not None
        assert sink.ends[0].error.code is Code.INTERNAL
        assert "secret" not in sink.ends[0].error.sentence


async def test_no_memory_is_a_clear_refusal(run_host: RunHost) -> None:
    async with run_host(plugins={"llm": ScriptedBackend()}, memory=False) as host:
        sink = CollectingSink()
        session = await host.sessions.open(ANA, sink, door="test", lazy=True)
        end = await sink.end(session.submit("x"))
        assert end.error is not None
        assert (end.error.code, end.persisted) == (Code.MEMORY_UNAVAILABLE, False)
        await session.close()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", Code.INVALID_REQUEST),
        (" \n", Code.INVALID_REQUEST),
        ("a\0b", Code.INVALID_REQUEST),
        ("\ud800", Code.INVALID_REQUEST),
        ("x" * 300_000, Code.TOO_LARGE),
    ],
)
async def test_bad_messages_are_refused_and_nothing_is_stored(
    run_host: RunHost, text: str, code: Code
) -> None:
    backend = ScriptedBackend()
    async with run_host(plugins={"llm": backend}) as host:
        session = await host.sessions.open(ANA, CollectingSink(), door="test")
        with pytest.raises(Refused) as refusal:
            session.submit(text)
        assert refusal.value.code is code
        assert not await host.sessions.memory.list_messages(session.conversation_id or 0, "ana")
        await session.close()


async def test_a_deleted_conversation_begins_anew(run_host: RunHost) -> None:
    async with run_host(plugins={"llm": ScriptedBackend()}) as host:
        sink = CollectingSink()
        session = await host.sessions.open(ANA, sink, door="test")
        first = session.conversation_id
        assert first is not None
        await host.sessions.memory.delete_conversation(first, "ana")
        refused = await sink.end(session.submit("gone?"))
        assert refused.error is not None
        assert refused.error.code is Code.NOT_FOUND
        end = await sink.end(session.submit("here again"))
        assert end.outcome is Outcome.COMPLETE
        assert session.conversation_id != first
        await session.close()


async def test_another_owners_conversation_cannot_be_opened(run_host: RunHost) -> None:
    from jota_core.api import MemoryStoreError

    async with run_host(plugins={"llm": ScriptedBackend()}) as host:
        sink = await ask(host.sessions, "mine", user="ana")
        with pytest.raises(MemoryStoreError) as refusal:
            await host.sessions.open(
                Principal("eva"), CollectingSink(), door="test", conversation_id=sink.ends[0].conversation_id
            )
        assert refusal.value.code is Code.NOT_FOUND


class Clock(Tool):
    """Tells a fixed time."""

    spec = ToolSpec("clock", "The time.", {"type": "object", "additionalProperties": False})

    async def call(self, arguments: Mapping[str, Any], principal: Principal) -> str:
        return f"It is 06:30 for {principal.id}."


async def test_a_tool_is_called_and_its_result_goes_back_to_the_model(run_host: RunHost) -> None:
    backend = ScriptedBackend(Script([ToolCall("c1", "clock", {})]), "Half past six.")
    async with run_host(plugins={"llm": backend, "clock": Clock()}) as host:
        sink = await ask(host.sessions, "what time is it?", user="ana")
        assert sink.text == "Half past six."
        last = backend.requests[1].messages
        assert last[-2].tool_calls == (ToolCall("c1", "clock", {}),)
        assert (last[-1].role, last[-1].content) == ("tool", "It is 06:30 for ana.")
        assert [spec.name for spec in backend.requests[0].tools] == ["clock"]


async def test_a_model_that_asks_for_tools_for_ever_is_stopped(run_host: RunHost) -> None:
    backend = ScriptedBackend(Script([ToolCall("c", "clock", {})]))
    async with run_host({"turns": {"tool_rounds": 2}}, plugins={"llm": backend, "clock": Clock()}) as host:
        await ask(host.sessions, "x", user="ana")
        assert len(backend.requests) == 3
        assert backend.requests[-1].tools == ()


class Noter(Plugin[Any]):
    """Adds a volatile line to every turn."""

    @hookimpl
    async def jota_prepare_turn(self, draft: TurnDraft) -> TurnDraft:
        return dataclasses.replace(draft, notes=(*draft.notes, "It rains."))


class Shaky(Plugin[Any]):
    """Its hook always fails."""

    @hookimpl
    async def jota_prepare_turn(self, draft: TurnDraft) -> TurnDraft:
        raise RuntimeError("no")


async def test_hooks_shape_the_turn_and_a_failing_one_is_left_out(run_host: RunHost) -> None:
    backend = ScriptedBackend()
    async with run_host(plugins={"llm": backend, "shaky": Shaky, "noter": Noter}) as host:
        sink = await ask(host.sessions, "hello", user="ana")
        assert backend.requests[0].messages[-1].content.endswith("It rains.)")
        assert (await stored(host, sink))[0].note.endswith("It rains.")
        states = {section.section: section.state for section in (await host.health()).sections}
        assert states["shaky"] == "degraded"


async def test_routing_decides_the_order_and_falls_to_who_is_there(run_host: RunHost) -> None:
    one, two = ScriptedBackend("one"), ScriptedBackend("two")
    async with run_host({"routing": {"inference": ["b", "a"]}}, plugins={"a": one, "b": two}) as host:
        assert (await ask(host.sessions, "x", user="ana")).text == "two"
        two.available = False
        assert (await ask(host.sessions, "x", user="ana")).text == "one"


async def test_a_draining_host_lets_answers_end_and_takes_no_more(run_host: RunHost) -> None:
    backend = ScriptedBackend(Script("slow but sure", between_s=0.05))
    async with run_host(plugins={"llm": backend}) as host:
        sink = CollectingSink()
        session = await host.sessions.open(ANA, sink, door="test")
        session.submit("x")
        await backend.until_running()
        await host.sessions.drain(5)
        assert sink.ends[0].outcome is Outcome.COMPLETE
        with pytest.raises(Refused) as refusal:
            await host.sessions.open(ANA, sink, door="test")
        assert refusal.value.code is Code.SERVER_RESTART


async def test_an_answer_that_outlasts_the_drain_is_kept_as_interrupted(run_host: RunHost) -> None:
    backend = ScriptedBackend(Script("this never ends", hang_at=1))
    sink = CollectingSink()
    async with run_host({"host": {"drain_s": 0.1}}, plugins={"llm": backend}) as host:
        session = await host.sessions.open(ANA, sink, door="test")
        session.submit("x")
        await sink.until_text("this")
    assert sink.ends[0].outcome is Outcome.INTERRUPTED
    assert sink.ends[0].error is not None
    assert sink.ends[0].error.code is Code.SERVER_RESTART
    assert sink.ends[0].persisted


async def test_a_growing_answer_is_checkpointed(run_host: RunHost) -> None:
    backend = ScriptedBackend(Script("kept before its end", hang_at=3))
    async with run_host({"turns": {"checkpoint_s": 0.05}}, plugins={"llm": backend}) as host:
        sink = CollectingSink()
        session = await host.sessions.open(ANA, sink, door="test")
        session.submit("x")
        await sink.until_text("its")
        conversation = session.conversation_id or 0

        async def kept() -> str:
            messages = await host.sessions.memory.list_messages(conversation, "ana")
            return messages[-1].content

        end = time.monotonic() + 5
        while "kept before its" not in await kept():
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
        await session.close()


async def test_observers_are_told_and_options_reach_the_backend(run_host: RunHost) -> None:
    from jota_core.api import Sampling

    backend = ScriptedBackend()
    async with run_host({"assistant": {"temperature": 0.5}}, plugins={"llm": backend}) as host:
        heard: list[TurnFinished] = []
        host.bus.subscribe(TurnFinished, heard.append)
        options = TurnOptions(system_extra="Speak like a pirate.", sampling=Sampling(max_tokens=7))
        await ask(host.sessions, "x", user="ana", options=options)
        await until(lambda: bool(heard), "the event")
        assert (heard[0].door, heard[0].outcome) == ("test", Outcome.COMPLETE)
        request = backend.requests[0]
        assert request.messages[0].content.endswith("Speak like a pirate.")
        assert (request.sampling.temperature, request.sampling.max_tokens) == (0.5, 7)


async def test_switching_the_model_is_remembered_and_an_unknown_one_refused(run_host: RunHost) -> None:
    backend = ScriptedBackend()
    async with run_host(plugins={"llm": backend}) as host:
        session = await host.sessions.open(ANA, CollectingSink(), door="test")
        with pytest.raises(BackendError) as refusal:
            await session.switch_model("none")
        assert refusal.value.code is Code.MODEL_NOT_FOUND
        await session.switch_model("scripted")
        await session.close()
        await ask(host.sessions, "x", user="ana")
        assert backend.requests[0].model == "scripted"
