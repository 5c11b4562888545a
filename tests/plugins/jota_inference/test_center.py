"""The Inference Center over real sockets: every operation as the C++ center's clients know it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from jota_core.api import BackendError, Code, Constraint, Delta, GenerateRequest, Piece, State, ToolCall
from jota_core.testing import RunHost, Script, ScriptedBackend, free_port, until

KEY = "a-key-of-the-test-0123456789"
HEADERS = {"X-Client-ID": "orch-1", "X-API-Key": KEY}


class Peer:
    """A client of the center."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket

    async def send(self, **members: Any) -> None:
        await self.socket.send(json.dumps(members))

    async def read(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            found: dict[str, Any] = json.loads(await self.socket.recv())
            return found

    async def ask(self, **members: Any) -> dict[str, Any]:
        await self.send(**members)
        return await self.read()

    async def session(self) -> str:
        created = await self.ask(op="create_session")
        assert created["op"] == "session_created", created
        return str(created["session_id"])

    async def stream(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Tokens up to the end or error."""
        tokens = []
        while (found := await self.read())["op"] == "token":
            tokens.append(found)
        return tokens, found


Center = Callable[..., AbstractAsyncContextManager[Callable[..., AbstractAsyncContextManager[Peer]]]]


@pytest.fixture
def center(run_host: RunHost) -> Center:
    """Runs a center over a scripted backend, and gives what connects to it."""

    @asynccontextmanager
    async def running(
        *scripts: Script | str,
        backend: ScriptedBackend | None = None,
        core: dict[str, Any] | None = None,
        **settings: Any,
    ) -> AsyncIterator[Callable[..., AbstractAsyncContextManager[Peer]]]:
        port = free_port()
        section = {"listen": f"127.0.0.1:{port}", "keys": {"orch-1": KEY, "other": KEY[::-1]}, **settings}
        config = {**(core or {}), "plugins": {"center": {"plugin": "jota_inference_center", **section}}}

        @asynccontextmanager
        async def client(
            headers: dict[str, str] | None = HEADERS, path: str = "/any/path"
        ) -> AsyncIterator[Peer]:
            uri = f"ws://127.0.0.1:{port}{path}"
            async with connect(
                uri, additional_headers=headers, compression=None, proxy=None, close_timeout=1
            ) as socket:
                peer = Peer(socket)
                first = await peer.read()
                assert first["op"] == ("auth_success" if headers else "hello"), first
                yield peer

        async with run_host(config, plugins={"llm": backend or ScriptedBackend(*scripts)}):
            yield client

    return running


async def test_a_prompt_is_streamed_with_its_kinds_and_ends_once(center: Center) -> None:
    script = Script(
        [Delta("hm", "thought"), Delta("¡Son las "), Delta("tres! 🕒"), ToolCall("c1", "clock", {"a": 1})]
    )
    async with center(script) as client, client() as peer:
        session = await peer.session()
        assert session.startswith("sess_")
        await peer.send(op="infer", session_id=session, prompt="¿Qué hora es?")
        tokens, end = await peer.stream()
    assert [token["type"] for token in tokens] == ["thought", "content", "content", "tool_call"]
    assert "".join(token["content"] for token in tokens[1:3]) == "¡Son las tres! 🕒"
    assert json.loads(tokens[3]["content"]) == {"id": "c1", "name": "clock", "arguments": {"a": 1}}
    assert (end["op"], end["session_id"], end["model_id"]) == ("end", session, "scripted")
    assert {"ttft_ms", "total_ms", "tokens", "tps"} <= set(end["stats"])


async def test_system_prompt_first_then_context_then_prompt(center: Center) -> None:
    backend = ScriptedBackend("Ana.")
    async with center(backend=backend) as client, client() as peer:
        session = await peer.session()
        context = {
            "messages": [{"role": "user", "content": "I am Ana."}, {"role": "assistant", "content": "Hi."}],
            "x": 1,
        }
        assert (await peer.ask(op="set_context", session_id=session, context=context))["op"] == "context_set"
        params = {"temp": 0.2, "max_tokens": 9, "system_prompt": "Be brief."}
        await peer.send(
            op="infer", session_id=session, prompt="Who am I?", grammar='root ::= "x"', params=params
        )
        await peer.stream()
        await peer.send(op="infer", session_id=session, prompt="Again?", mode="instant")
        await peer.stream()
    first, second = backend.requests
    said = [(message.role, message.content) for message in first.messages]
    assert said == [
        ("system", "Be brief."),
        ("user", "I am Ana."),
        ("assistant", "Hi."),
        ("user", "Who am I?"),
    ]
    assert (first.sampling.temperature, first.sampling.max_tokens) == (0.2, 9)
    assert first.constraint is not None
    assert first.constraint.kind == "grammar"
    assert (second.sampling.temperature, second.sampling.max_tokens) == (0.1, 32)
    assert first.conversation == second.conversation, "the prefix stays warm in a session"


@pytest.mark.parametrize(
    "headers",
    [{"X-Client-ID": "orch-1"}, {**HEADERS, "X-API-Key": "wrong"}, {**HEADERS, "X-Client-ID": "other"}],
)
async def test_wrong_headers_are_401(center: Center, headers: dict[str, str]) -> None:
    async with center("x") as client:
        with pytest.raises(InvalidStatus) as refused:
            async with client(headers):
                pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error"]


async def test_the_seed_generation_authenticates_in_band(center: Center) -> None:
    async with center("x") as client, client(headers=None) as peer:
        assert (await peer.ask(op="create_session")) == {"op": "session_error", "error": "NOT_AUTHENTICATED"}
        assert (await peer.ask(op="infer"))["error"] == "NOT_AUTHENTICATED"
        assert (await peer.ask(op="auth"))["reason"] == "Missing client_id or api_key"
        wrong = await peer.ask(op="auth", client_id="orch-1", api_key="wrong")
        assert wrong == {"op": "auth_failed", "reason": "Invalid credentials"}
        right = await peer.ask(op="auth", client_id="orch-1", api_key=KEY, jota_db_url="http://x")
        assert (right["op"], right["client_id"]) == ("auth_success", "orch-1")
        assert await peer.session()


async def test_headers_can_be_required_and_make_auth_needless(center: Center) -> None:
    async with center("x", headers_required=True) as client:
        with pytest.raises(InvalidStatus) as refused:
            async with client(headers=None):
                pass
        assert refused.value.response.status_code == 401
        async with client() as peer:
            again = await peer.ask(op="auth", client_id="orch-1", api_key=KEY)
            assert again["reason"].startswith("Already authenticated via headers")
            assert await peer.session()


async def test_who_does_not_authenticate_is_sent_away(center: Center) -> None:
    async with center("x", auth_s=0.2) as client, client(headers=None) as peer:
        async with asyncio.timeout(5):
            await peer.socket.wait_closed()
        assert peer.socket.close_code == 1008


async def test_an_abort_ends_what_runs_and_what_waits(center: Center) -> None:
    backend = ScriptedBackend(Script("one two three", hang_at=1), "next")
    async with center(backend=backend) as client, client() as peer:
        session = await peer.session()
        await peer.send(op="infer", session_id=session, prompt="1")
        assert (await peer.read())["op"] == "token"
        await peer.send(op="infer", session_id=session, prompt="2")
        await peer.send(op="abort", session_id=session)
        ops = [(await peer.read())["op"] for _ in range(3)]
        assert ops == ["abort", "end", "end"]
        assert len(backend.aborted) == 1
        await peer.send(op="infer", session_id=session, prompt="3")
        tokens, _ = await peer.stream()
        assert "".join(token["content"] for token in tokens) == "next"
        assert (await peer.ask(op="abort", session_id="sess_no"))["status"] == "not_found"


async def test_an_abort_on_the_heels_of_its_prompt_still_ends_it_once(center: Center) -> None:
    async with center(Script("one two three", hang_at=1)) as client, client() as peer:
        session = await peer.session()
        for _ in range(30):
            await peer.send(op="infer", session_id=session, prompt="x")
            for _ in range(2):
                await peer.send(op="abort", session_id=session)
            ops = [found["op"] for found in [await peer.read() for _ in range(3)]]
            while ops.count("end") + ops.count("abort") < 3:
                ops.append((await peer.read())["op"])
            assert (ops.count("abort"), ops.count("end")) == (2, 1), ops
        await peer.send(op="hello")
        assert (await peer.read())["op"] == "hello", "nothing more comes"


async def test_a_backend_that_breaks_or_hangs_ends_the_prompt_with_an_error(
    run_host: RunHost, center: Center
) -> None:
    class Broken(ScriptedBackend):
        async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
            raise ValueError("a bug")
            yield Delta("never")

    async with center(backend=Broken("x")) as client, client() as peer:
        found = await peer.ask(op="infer", session_id=await peer.session(), prompt="x")
        assert (found["op"], found["error"]) == ("error", "Internal server error")
    hanging = {"turns": {"first_token_s": 0.3, "between_tokens_s": 0.3}}
    async with center(Script("one two", hang_at=1), core=hanging) as client, client() as peer:
        await peer.send(op="infer", session_id=await peer.session(), prompt="x")
        tokens, end = await peer.stream()
        assert len(tokens) == 1
        assert (end["op"], "silent for 0.3 s" in end["error"]) == ("error", True)


async def test_a_schema_and_tools_reach_the_backend(center: Center) -> None:
    backend = ScriptedBackend("x")
    schema, tool = (
        {"type": "object"},
        {"name": "light", "description": "Switches.", "input_schema": {"type": "object"}},
    )
    async with center(backend=backend) as client, client() as peer:
        session = await peer.session()
        more = {"json_schema": schema, "tools": [tool], "tool_choice": "required"}
        await peer.send(op="infer", session_id=session, prompt="x", **more)
        await peer.stream()
    (asked,) = backend.requests
    assert asked.constraint == Constraint("json_schema", schema)
    assert (asked.tools[0].name, asked.tool_choice) == ("light", "required")


async def test_sessions_belong_to_their_connection_and_go_with_it(center: Center) -> None:
    backend = ScriptedBackend(Script("one two", hang_at=1))
    async with center(backend=backend, max_sessions=1) as client:
        async with (
            client() as peer,
            client({**HEADERS, "X-Client-ID": "other", "X-API-Key": KEY[::-1]}) as stranger,
        ):
            session = await peer.session()
            for op in ("infer", "set_context", "close_session"):
                refused = await stranger.ask(op=op, session_id=session, prompt="x", context={})
                assert refused["error"] == "SESSION_NOT_FOUND"
            assert (await stranger.ask(op="abort", session_id=session))["status"] == "not_found"
            assert (await peer.ask(op="create_session"))["error"] == "SESSION_LIMIT_REACHED"
            await peer.send(op="infer", session_id=session, prompt="1")
            await peer.read()
        await until(lambda: len(backend.aborted) == 1, "the abort")
        async with client() as peer:
            assert await peer.session(), "the session of the lost connection was closed"


async def test_errors_of_the_backend_have_codes(center: Center) -> None:
    def fails(code: Code) -> Script:
        return Script("x", fail_at=0, error=BackendError(code, "A sentence."))

    wanted = {
        Code.BACKEND_UNAVAILABLE: "NO_MODEL_LOADED",
        Code.ENGINE_BUSY: "BUSY",
        Code.INTERNAL: "A sentence.",
    }
    async with center(*map(fails, wanted)) as client, client() as peer:
        session = await peer.session()
        for code, error in wanted.items():
            assert await peer.ask(op="infer", session_id=session, prompt="x") == {
                "op": "error", "session_id": session, "error": error, "code": code.value,
            }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nonsense", "Invalid JSON"),
        ("[]", "Missing 'op' field"),
        ('{"op": 3}', "Missing 'op' field"),
        ('{"op": "dance"}', "Unknown operation: dance"),
        ('{"op": "infer", "prompt": "x"}', "MISSING_FIELDS"),
        ('{"op": "infer", "session_id": "SESSION"}', "MISSING_FIELDS"),
        ('{"op": "infer", "session_id": "SESSION", "prompt": "x", "params": {"temp": "hot"}}', "Error processing message"),
        ('{"op": "set_context", "session_id": "SESSION", "context": {"messages": [{"role": 3}]}}', "Error processing message"),
        ('{"op": "abort"}', "MISSING_FIELDS"),
        ('{"op": "COMMAND_LOAD_MODEL"}', "MISSING_FIELDS"),
        ('{"op": "COMMAND_LOAD_MODEL", "model_id": "nobody"}', "MODEL_NOT_FOUND"),
        ('{"op": "count_tokens", "texts": [1]}', "MISSING_FIELDS"),
        ("[" * 100_000, "Invalid JSON"),
    ],
)  # fmt: skip
async def test_bad_frames_are_told_and_the_connection_stays(center: Center, text: str, error: str) -> None:
    async with center("fine") as client, client() as peer:
        session = await peer.session()
        await peer.socket.send(text.replace("SESSION", session))
        assert (await peer.read())["error"].startswith(error)
        await peer.send(op="infer", session_id=session, prompt="x")
        assert (await peer.stream())[1]["op"] == "end"


async def test_models_metrics_tokens_and_hello(center: Center) -> None:
    async with center("x") as client, client() as peer:
        listed = await peer.ask(op="COMMAND_LIST_MODELS")
        assert (listed["op"], listed["status"], listed["models"][0]["id"]) == (
            "list_models_result",
            "SUCCESS",
            "scripted",
        )
        assert (await peer.ask(op="hello"))["requires_auth"] is True
        assert len((await peer.ask(op="count_tokens", texts=["one two", ""]))["counts"]) == 2
        assert (await peer.ask(op="subscribe_metrics"))["op"] == "metrics_subscribed"
        metrics = await peer.read()
        assert metrics["inference"]["total_sessions"] == 0
        assert metrics["timestamp"] > 0
        assert (await peer.ask(op="unsubscribe_metrics"))["op"] == "metrics_unsubscribed"
        session = await peer.session()
        assert (await peer.ask(op="close_session", session_id=session))["op"] == "session_closed"


async def test_a_client_that_does_not_read_is_cut_and_its_work_aborted(center: Center) -> None:
    backend = ScriptedBackend(Script(["x" * 100_000] * 400))
    async with center(backend=backend, send_s=0.5) as client, client() as peer:
        session = await peer.session()
        await peer.send(op="infer", session_id=session, prompt="x")
        peer.socket.transport.pause_reading()
        await until(lambda: backend.running == 1, "the answer")
        await until(lambda: backend.running == 0, "its end", 10)
        assert len(backend.aborted) == 1


async def test_a_listener_for_others_needs_keys(run_host: RunHost) -> None:
    center = {"plugin": "jota_inference_center", "listen": f"0.0.0.0:{free_port()}"}
    async with run_host({"plugins": {"center": center}}, plugins={"llm": ScriptedBackend("x")}) as host:
        (section,) = [found for found in (await host.health()).sections if found.section == "center"]
    assert section.state is State.FAILED
    assert "Add `keys:" in section.detail


async def test_keys_can_come_as_one_text(center: Center) -> None:
    async with center("x", keys={}, key_list=f"orch-1={KEY}, two={KEY}2") as client, client() as peer:
        assert await peer.session()
