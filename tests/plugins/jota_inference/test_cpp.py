"""The client against the C++ center's wire: old spellings, frames of nobody, stuck sessions, 16 KiB."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jota_core.api import BackendError, Code, Constraint, Delta, GenerateRequest, Message, ToolCall, ToolSpec
from jota_core.testing import until

from .conftest import Orchestrate
from .cpp import CppCenter, Frame, error, never, one_token, refuse, wait_for
from .test_client import pieces, request


def text_of(said: list[Any]) -> str:
    return "".join(piece.text for piece in said if isinstance(piece, Delta) and piece.kind == "content")


async def test_the_seed_generation_is_told_who_we_are_and_the_history_in_words(
    orchestrate: Orchestrate,
) -> None:
    center = CppCenter(seed=True)
    center.on["set_context"] = center.on["COMMAND_LIST_MODELS"] = refuse
    asked = GenerateRequest(
        "1", (Message("user", "I am Ana."), Message("assistant", "Hi."), Message("user", "Who?"))
    )
    async with center.running(), orchestrate(center.url) as made:
        for _ in range(2):
            assert text_of(await pieces(made.backend, asked)) == "Hello there."
    assert center.got[0] == {"op": "auth", "client_id": "orch-1", "api_key": center.got[0]["api_key"]}
    prompts = [frame["prompt"] for frame in center.asked("infer")]
    assert prompts == ["Who?", *["user: I am Ana.\nassistant: Hi.\nWho?"] * 2]
    assert len(center.asked("set_context")) == 1


async def test_no_frame_is_longer_than_16_kib_and_the_newest_is_kept(orchestrate: Orchestrate) -> None:
    center = CppCenter()
    said = [Message("user" if n % 2 == 0 else "assistant", f"{n} " + "ñ" * 700) for n in range(60)]
    asked = GenerateRequest("1", (Message("system", "Be brief."), *said, Message("user", "And?")))
    async with center.running(), orchestrate(center.url, context=100_000) as made:
        assert text_of(await pieces(made.backend, asked)) == "Hello there."
        with pytest.raises(BackendError) as refused:
            await pieces(made.backend, request("x" * 17_000))
        assert refused.value.code is Code.CONTEXT_TOO_LONG
        assert text_of(await pieces(made.backend, asked)) == "Hello there.", "the connection is still there"
    assert center.connects == 1
    context = center.asked("set_context")[0]["context"]["messages"]
    assert 8 <= len(context) < 60
    assert context[0]["role"] == "user"
    assert context[-1]["content"] == said[-1].content
    infer = center.asked("infer")[0]
    assert (infer["prompt"], infer["params"]["system_prompt"]) == ("And?", "Be brief.")


async def test_the_context_is_kept_within_the_tokens_that_the_center_holds(orchestrate: Orchestrate) -> None:
    center = CppCenter()
    said = [Message("user" if n % 2 == 0 else "assistant", "word " * 60) for n in range(40)]
    async with center.running(), orchestrate(center.url, context=1000) as made:
        await pieces(made.backend, GenerateRequest("1", (*said, Message("user", "And?"))))
    context = center.asked("set_context")[0]["context"]["messages"]
    assert 1 <= sum(len(message["content"]) for message in context) / 4 <= 1000


async def test_kinds_come_by_type_or_by_tags(orchestrate: Orchestrate) -> None:
    center = CppCenter(seed=True)
    center.say = [
        "<thi",
        "nk>\nhm",
        "</think>",
        "Yes. <tool",
        '_call>{"name": "clock", "argum',
        'ents": {}}</tool_call>',
    ]
    tool = ToolSpec("clock", "Tells the time.", {"type": "object"})

    async def typed(center: CppCenter, frame: Frame) -> None:
        for kind, text in (
            ("thought", "hm"),
            ("content", "Yes. "),
            ("tool_call", '{"name": "clock", "argum'),
        ):
            await center.token(frame["session_id"], text, type=kind)
        await center.token(frame["session_id"], 'ents": "{}"}', type="tool_call")
        await center.send(op="end", session_id=frame["session_id"], stats={"tokens": 9})

    async with center.running(), orchestrate(center.url) as made:
        for answer in (None, typed):
            if answer:
                center.on["infer"] = answer
            said = await pieces(made.backend, request(tools=(tool,)))
            thought = "".join(
                piece.text for piece in said if isinstance(piece, Delta) and piece.kind == "thought"
            )
            assert (thought.strip(), text_of(said)) == ("hm", "Yes. ")
            (call,) = [piece for piece in said if isinstance(piece, ToolCall)]
            assert (call.name, call.arguments) == ("clock", {})
    assert '"clock"' in center.asked("infer")[0]["params"]["system_prompt"]


@pytest.mark.parametrize(
    ("text", "with_session", "code"),
    [
        ("NO_MODEL_LOADED", False, Code.BACKEND_UNAVAILABLE),
        ("ERROR_NO_MODEL_LOADED", False, Code.BACKEND_UNAVAILABLE),
        ("MISSING_FIELDS", False, Code.INTERNAL),
        ("Missing session_id or prompt", False, Code.INTERNAL),
        ("NOT_AUTHENTICATED", False, Code.BACKEND_UNAVAILABLE),
        ("Error processing message: [json.exception]", False, Code.INTERNAL),
        ("KV Cache full during prompt evaluation", True, Code.CONTEXT_TOO_LONG),
        ("llama_decode failed during token generation", True, Code.INTERNAL),
        ("Something that nobody has ever seen", True, Code.INTERNAL),
    ],
)
async def test_an_error_is_its_prompts_and_nobody_elses(
    orchestrate: Orchestrate, text: str, with_session: bool, code: Code
) -> None:
    center, go = CppCenter(), asyncio.Event()
    async with center.running(), orchestrate(center.url) as made:
        center.on["infer"] = wait_for(go)
        bystander = asyncio.ensure_future(pieces(made.backend, request(conversation="b")))
        await until(lambda: len(center.asked("infer")) == 1, "the bystander")
        await asyncio.sleep(0.02)
        center.on["infer"] = error(text, with_session=with_session)
        with pytest.raises(BackendError) as failed:
            await pieces(made.backend, request())
        go.set()
        assert text_of(await bystander) == "OneHello there."
    assert failed.value.code is code


async def test_frames_of_nobody_are_counted_and_harm_nobody(orchestrate: Orchestrate) -> None:
    center = CppCenter()
    strange = [
        "nonsense", "[]", "3", '{"op": 7}', '{"op": "dance"}', '{"op": "token"}', '{"op": "token", "session_id": [1]}',
        '{"op": "token", "session_id": "sess_x", "content": "stray"}', '{"op": "end", "session_id": "sess_x"}',
        '{"op": "error", "error": "odd", "session_id": "sess_x"}', '{"op": "session_closed"}', "[" * 5000, '{"op": "abort"}',
        '{"op": "context_set", "session_id": {}}', '{"op": "error", "error": {"a": 1}}', '{"op": "load_model_result"}',
    ]  # fmt: skip

    async def odd(center: CppCenter, frame: Frame) -> None:
        for text in strange[:-2]:
            await center.send_text(text)
        await center.token(frame["session_id"], "He", type="content")
        await center.send(op="token", session_id=frame["session_id"], content=3)
        await center.send(op="token", session_id=frame["session_id"])
        for text in strange:
            await center.send_text(text)
        await center.token(frame["session_id"], "llo", type="a new kind")
        for _ in range(3):
            await center.send(op="end", session_id=frame["session_id"], stats="odd", model_id=3)
        await center.token(frame["session_id"], "late", type="content")

    async with center.running(), orchestrate(center.url) as made:
        center.on["infer"] = odd
        for _ in range(3):
            assert text_of(await pieces(made.backend, request())) == "Hello"
    assert center.connects == 1


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.lists(st.one_of(st.text(max_size=30), st.dictionaries(
    st.sampled_from(["op", "session_id", "error", "content", "type", "models", "stats", "status"]),
    st.one_of(st.none(), st.integers(), st.sampled_from(["token", "end", "abort", "sess_00000001_0000", "context_error",
              "session_error", "list_models_result", "SESSION_LIMIT_REACHED", "not_found"]), st.lists(st.integers())),
).map(lambda members: {**members, "op": members.get("op", "metrics")})), max_size=8))  # fmt: skip
async def test_no_noise_breaks_the_connection(orchestrate: Orchestrate, noise: list[Any]) -> None:
    center = CppCenter()
    async with center.running(), orchestrate(center.url) as made:
        for frame in noise:
            await (center.send_text(frame) if isinstance(frame, str) else center.send(**frame))
        for _ in noise:
            try:
                await pieces(made.backend, request())
            except BackendError:
                pass  # each `session_error` may come at the right moment; afterwards all is well
        assert text_of(await pieces(made.backend, request())) == "Hello there."
    assert center.connects == 1


async def test_a_late_end_of_one_prompt_does_not_end_the_next(orchestrate: Orchestrate) -> None:
    center = CppCenter(max_sessions=1)

    async def again(center: CppCenter, frame: Frame) -> None:
        await center.token(frame["session_id"], "late", type="content")
        await center.send(op="end", session_id=frame["session_id"])
        await center.send(op="context_set", session_id=frame["session_id"])

    async with center.running(), orchestrate(center.url) as made:
        assert text_of(await pieces(made.backend, request())) == "Hello there."
        center.on["set_context"] = again
        assert text_of(await pieces(made.backend, request())) == "Hello there."


async def test_nobody_waits_behind_a_session_that_is_never_made(orchestrate: Orchestrate) -> None:
    center = CppCenter()
    async with center.running(), orchestrate(center.url, create_s=0.3) as made:
        center.on["create_session"] = never
        with pytest.raises(BackendError) as refused:
            await pieces(made.backend, request())
        assert (refused.value.code, refused.value.retry_after_s) == (Code.ENGINE_BUSY, 5.0)
        del center.on["create_session"]
        assert text_of(await pieces(made.backend, request())) == "Hello there."
        center.on["create_session"] = never
        for number in range(3):
            assert text_of(await pieces(made.backend, request(conversation=f"{number}"))) == "Hello there."


async def test_a_limit_that_was_not_announced_is_learnt(orchestrate: Orchestrate) -> None:
    center = CppCenter(max_sessions=8)
    async with center.running(), orchestrate(center.url) as made:
        await pieces(made.backend, request())
        center.on["create_session"] = error("SESSION_LIMIT_REACHED", with_session=False, op="session_error")
        answers = await asyncio.gather(
            *(pieces(made.backend, request(conversation=f"{n}")) for n in range(5))
        )
        assert [text_of(said) for said in answers] == ["Hello there."] * 5


async def test_a_forgotten_session_is_replaced_unseen(orchestrate: Orchestrate) -> None:
    center = CppCenter()

    async def forgotten(center: CppCenter, frame: Frame) -> None:
        center.on.clear()
        await center.send(op="context_error", session_id=frame["session_id"], error="SESSION_NOT_FOUND")
        center.on["infer"] = once

    async def once(center: CppCenter, frame: Frame) -> None:
        center.on.clear()
        await center.send(op="error", session_id=frame["session_id"], error="Session not found")

    async with center.running(), orchestrate(center.url) as made:
        assert text_of(await pieces(made.backend, request())) == "Hello there."
        center.on["set_context"] = forgotten
        assert text_of(await pieces(made.backend, request())) == "Hello there."
    assert len(center.asked("create_session")) == 2


async def test_sessions_are_ended_in_the_safe_order(orchestrate: Orchestrate) -> None:
    center = CppCenter(max_sessions=1)
    center.on["infer"] = error("Session timeout: Model blocked")
    async with center.running(), orchestrate(center.url) as made:
        with pytest.raises(BackendError) as failed:
            await pieces(made.backend, request())
        assert failed.value.code is Code.STALLED
        center.on.clear()
        assert text_of(await pieces(made.backend, request())) == "Hello there."
    ops = [frame["op"] for frame in center.got if "session_id" in frame]
    assert ops == ["set_context", "infer", "abort", "close_session", "set_context", "infer"]


async def test_a_model_is_changed_with_no_session_open_and_asked_for_again_while_busy(
    orchestrate: Orchestrate,
) -> None:
    center, refusals = CppCenter(), ["INFERENCE_IN_PROGRESS", "ERROR_INFERENCE_IN_PROGRESS"]

    async def load(center: CppCenter, frame: Frame) -> None:
        if refusals:
            await center.send(op="error", error=refusals.pop())
        elif frame["model_id"] == "nobody":
            await center.send(op="error", error="ERROR_MODEL_NOT_FOUND")
        else:
            center.model = frame["model_id"]
            await center.send(op="LOAD_MODEL_RESULT", status="SUCCESS")

    center.on["COMMAND_LOAD_MODEL"] = load
    async with center.running(), orchestrate(center.url) as made:
        await pieces(made.backend, request())
        assert [model.id for model in await made.backend.models()] == ["llama"]
        assert text_of(await pieces(made.backend, request(model="qwen"))) == "Hello there."
        await pieces(made.backend, request(model="qwen"))
        with pytest.raises(BackendError) as refused:
            await made.backend.load("nobody")
    assert refused.value.code is Code.MODEL_NOT_FOUND
    ops = [frame["op"] for frame in center.got]
    assert ops.index("close_session") < ops.index("COMMAND_LOAD_MODEL")
    assert len(center.asked("COMMAND_LOAD_MODEL")) == 4
    assert len(center.asked("COMMAND_LIST_MODELS")) == 1, "the list is remembered"


async def test_a_schema_is_refused_where_only_grammars_are_known(orchestrate: Orchestrate) -> None:
    center = CppCenter()
    async with center.running(), orchestrate(center.url) as made:
        with pytest.raises(BackendError) as refused:
            await pieces(made.backend, request(constraint=Constraint("json_schema", {})))
        assert refused.value.code is Code.UNSUPPORTED
        await pieces(made.backend, request(constraint=Constraint("grammar", 'root ::= "x"')))
    assert center.asked("infer")[0]["grammar"] == 'root ::= "x"', "on the top level, not in `params`"


async def test_everyone_who_waits_is_told_at_once_when_the_connection_is_reset(
    orchestrate: Orchestrate,
) -> None:
    center = CppCenter(max_sessions=2)
    async with center.running(), orchestrate(center.url) as made:
        center.on["infer"] = one_token
        work = [asyncio.ensure_future(pieces(made.backend, request(conversation=f"{n}"))) for n in range(5)]
        await until(lambda: "3 turns wait" in made.backend.health().detail, "the line")
        await center.cut()
        async with asyncio.timeout(0.25):
            ended = await asyncio.gather(*work, return_exceptions=True)
        assert {error.code for error in ended if isinstance(error, BackendError)} == {Code.UPSTREAM_LOST}
        assert len(ended) == 5
        center.on.clear()
        await until(lambda: made.backend.available, "the connection, at once", 0.3)
        assert text_of(await pieces(made.backend, request())) == "Hello there."


async def test_a_center_that_hangs_up_again_and_again_is_not_stormed(orchestrate: Orchestrate) -> None:
    center = CppCenter()

    async def hang_up(center: CppCenter, frame: Frame) -> None:
        await center.cut()

    center.on["COMMAND_LIST_MODELS"] = hang_up
    async with center.running(), orchestrate(center.url):
        await asyncio.sleep(2.0)
        assert 5 <= center.connects <= 8
