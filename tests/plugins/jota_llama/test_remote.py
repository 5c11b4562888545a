"""A model server that already runs: llama.cpp's own over TCP with the real model, and others' dialects.

Ollama and vLLM cannot be had here; what they stream is scripted as they document it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from jota_core.api import (
    BackendError,
    Code,
    Constraint,
    Delta,
    InferenceBackend,
    Piece,
    ToolCall,
    ToolSpec,
    Usage,
)
from jota_core.testing import RunHost, ask, free_port, until
from jota_core.testing.contracts.inference import InferenceBackendContract, first_delta
from jota_llama.remote.backend import RemoteBackend
from jota_llama.remote.plugin import JotaOpenAi

from .conftest import request, text_of

KEY = "a-key-of-the-test-0123456789"
SERVER = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.port, params.api_keys = sys.argv[1], int(sys.argv[2]), [sys.argv[3]]
params.n_ctx, params.n_parallel, params.cache_ram_mib, params.verbosity = 2048, 2, 64, 0
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.n_batch = params.n_ubatch = 16
server = xllamacpp.Server(params)
time.sleep(600)
"""
Remote = Callable[..., AbstractAsyncContextManager[RemoteBackend]]


@pytest.fixture
def remote(run_host: RunHost) -> Remote:
    """Runs a host with a section `llm` for the server at `url`."""

    @asynccontextmanager
    async def running(url: str, **settings: Any) -> AsyncIterator[RemoteBackend]:
        made: list[JotaOpenAi] = []

        class Seen(JotaOpenAi):
            def __init__(self, given: Any) -> None:
                super().__init__(given)
                made.append(self)

        config = {"plugins": {"llm": {"url": url, **settings}}}
        async with run_host(config, plugins={"llm": Seen}) as host:
            (backend,) = made[0].jota_backends()
            assert isinstance(backend, RemoteBackend)
            backend.host = host  # type: ignore[attr-defined]  # for the one test that chats
            yield backend

    return running


@pytest.fixture(scope="module")
def llama_server(starter: Path) -> Iterator[str]:
    """A real llama.cpp server with the starter model, and a key."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(starter), str(port), KEY])
    yield f"http://127.0.0.1:{port}/v1/"
    process.kill()
    process.wait(10)


@pytest.mark.model
class TestContract(InferenceBackendContract):
    @pytest.fixture
    async def backend(self, llama_server: str, remote: Remote) -> AsyncIterator[InferenceBackend]:
        async with remote(llama_server, key=KEY) as backend:
            await until(lambda: backend.available, "the server", 60)
            yield backend


@pytest.mark.model
async def test_a_llama_server_constrains_counts_and_tells_its_context(
    llama_server: str, remote: Remote
) -> None:
    async with remote(llama_server, key=KEY) as backend:
        await until(lambda: backend.available, "the server", 60)
        assert backend.capabilities.context_window == 1024
        assert backend.capabilities.grammar
        asked = request("Is it day?", constraint=Constraint("grammar", 'root ::= "yes" | "no"'))
        assert text_of(await _all(backend, asked)) in ("yes", "no")
        with pytest.raises(BackendError) as refused:
            await _all(backend, request("The ship sailed on. " * 500))
        assert refused.value.code is Code.CONTEXT_TOO_LONG


@pytest.mark.model
async def test_a_wrong_key_is_said(llama_server: str, remote: Remote) -> None:
    async with remote(llama_server, key="wrong") as backend:
        await until(lambda: "does not accept our key" in backend.health().detail, "the refusal", 60)
        assert not backend.available


async def _all(backend: InferenceBackend, asked: Any) -> list[Piece]:
    async with asyncio.timeout(30):
        return [piece async for piece in backend.generate(asked)]


class Dialect:
    """A scripted server: streams what the test wrote down, in the words of one vendor."""

    def __init__(
        self, events: Sequence[Any] = (), *, status: int = 200, refusal: Any = None, ends: str = "\n\n"
    ) -> None:
        self.port = free_port()
        self.bodies: list[dict[str, Any]] = []
        self.left = 0
        self.models = [{"id": "qwen3:4b"}, {"id": "gemma3:4b", "max_model_len": 32768}]
        self._events, self._status, self._refusal, self._ends = events, status, refusal, ends

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        app = web.Application()
        app.add_routes([web.get("/v1/models", self._list), web.post("/v1/chat/completions", self._chat)])
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        try:
            yield f"http://127.0.0.1:{self.port}"
        finally:
            await runner.cleanup()

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": self.models})

    async def _chat(self, asked: web.Request) -> web.StreamResponse:
        self.bodies.append(await asked.json())
        if self._status != 200:
            return web.json_response(self._refusal, status=self._status)
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(asked)
        try:
            for event in self._events:
                if event is None:
                    await asyncio.Event().wait()
                text = event if isinstance(event, str) else f"data: {json.dumps(event)}"
                await answer.write((text + self._ends).encode())
        except asyncio.CancelledError:
            self.left += 1
            raise
        return answer


def said(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


CALL = {"index": 0, "id": "c1", "function": {"name": "clock", "arguments": '{"zone": "utc"}'}}
DIALECTS = {
    "vLLM": Dialect([
        said(role="assistant", content=""), said(reasoning_content="hm"), said(content="It is "), said(content="three."),
        said(tool_calls=[CALL]), said("tool_calls"), {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 7}},
        "data: [DONE]",
    ]),
    "Ollama": Dialect([
        said(role="assistant", content="", reasoning="hm"), said(content="It is three.", tool_calls=[CALL]),
        {**said("stop", content=""), "usage": {"prompt_tokens": 9, "completion_tokens": 7}}, "data: [DONE]",
    ], ends="\r\n\r\n"),
    "without usage": Dialect([
        ": keep-alive", "event: message\ndata:" + json.dumps(said(content="<think>hm</think>It is ")), said(content="three."),
        {"choices": [{"delta": {"tool_calls": [CALL]}}]}, said("stop", tool_calls=None), "data: [DONE]",
    ]),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
async def test_every_dialect_gives_the_same_pieces(name: str, remote: Remote) -> None:
    dialect = DIALECTS[name]
    tool = ToolSpec("clock", "Tells the time.", {"type": "object"})
    async with dialect.running() as url, remote(url) as backend:
        pieces = await _all(backend, request("What time is it?", tools=(tool,), tool_choice="required"))
    assert (
        "".join(piece.text for piece in pieces if isinstance(piece, Delta) and piece.kind == "thought")
        == "hm"
    )
    assert (
        "".join(piece.text for piece in pieces if isinstance(piece, Delta) and piece.kind == "content")
        == "It is three."
    )
    assert [piece for piece in pieces if isinstance(piece, ToolCall)] == [
        ToolCall("c1", "clock", {"zone": "utc"})
    ]
    usage = pieces[-1]
    assert isinstance(usage, Usage)
    assert (usage.model, usage.finish) == ("qwen3:4b", "tool_call")
    assert usage.completion_tokens in (4, 7)
    body = dialect.bodies[-1]
    assert (body["model"], body["tool_choice"], body["stream"]) == ("qwen3:4b", "required", True)
    assert not {"cache_prompt", "return_progress", "chat_template_kwargs"} & body.keys(), "llama.cpp's own"


@pytest.mark.parametrize(
    ("status", "refusal", "code"),
    [
        (404, {"error": {"message": 'model "x" not found, try pulling it first', "type": "api_error"}}, Code.MODEL_NOT_FOUND),
        (404, {"object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404}, Code.MODEL_NOT_FOUND),
        (400, {"error": {"message": "This model's maximum context length is 8192 tokens.", "code": "context_length_exceeded"}}, Code.CONTEXT_TOO_LONG),
        (400, {"error": "missing request body"}, Code.INVALID_REQUEST),
        (401, {"error": {"message": "Incorrect API key"}}, Code.BACKEND_UNAVAILABLE),
        (429, {"error": {"message": "slow down"}}, Code.ENGINE_BUSY),
        (500, ["odd"], Code.INTERNAL),
    ],
)  # fmt: skip
async def test_refusals_have_codes(status: int, refusal: Any, code: Code, remote: Remote) -> None:
    async with Dialect(status=status, refusal=refusal).running() as url, remote(url) as backend:
        with pytest.raises(BackendError) as failed:
            await _all(backend, request("Hello?", model="x"))
    assert failed.value.code is code


async def test_leaving_drops_the_request_and_a_lost_server_comes_back(remote: Remote) -> None:
    dialect = Dialect([said(content="One"), None])
    async with remote(f"http://127.0.0.1:{dialect.port}") as backend:
        assert not backend.available
        assert "cannot be reached" in backend.health().detail
        async with dialect.running():
            await until(lambda: backend.available, "the server", 5)
            async with aclosing(backend.generate(request("Count."))) as running:
                await first_delta(running)
            await until(lambda: dialect.left == 1, "the abort", 0.25)
            reading = asyncio.ensure_future(_all(backend, request("Count.")))
            await until(lambda: len(dialect.bodies) == 2, "the second")
        with pytest.raises(BackendError) as lost:
            await reading
        assert lost.value.code is Code.UPSTREAM_LOST
        assert not backend.available
        dialect._events = [said("stop", content="Back.")]
        async with dialect.running():
            await until(lambda: backend.available, "the server", 5)
            sink = await ask(backend.host.sessions, "Hello?")  # type: ignore[attr-defined]  # see the fixture
            assert sink.text == "Back."


async def test_models_are_chosen_by_name(remote: Remote) -> None:
    async with Dialect([said("stop", content="x")]).running() as url, remote(url, at_once=1) as backend:
        assert [(model.id, model.loaded) for model in await backend.models()] == [
            ("qwen3:4b", True),
            ("gemma3:4b", False),
        ]
        await backend.load("gemma3:4b")
        assert backend.capabilities.context_window == 32768
        assert (await backend.count_tokens(["", "abcd"])) == [0, 2]
        with pytest.raises(BackendError) as refused:
            await _all(backend, request("Hello?", constraint=Constraint("grammar", "root ::= [a]")))
        assert refused.value.code is Code.UNSUPPORTED
