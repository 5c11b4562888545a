"""A door on a real socket, with a host behind it whose answers are scripted."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop

from jota_core.api import (
    AudioFormat,
    Code,
    Conversation,
    Credentials,
    Delta,
    ErrorInfo,
    Event,
    HealthReport,
    HttpRoute,
    InferenceBackend,
    ListenOptions,
    MemoryStore,
    MemoryStoreError,
    ModelInfo,
    Outcome,
    PluginContext,
    Principal,
    Refused,
    ReplySink,
    SectionReport,
    Session,
    Sessions,
    SpeakOptions,
    SpeechBackend,
    State,
    Status,
    StoredMessage,
    TranscriptionBackend,
    TurnBegan,
    TurnEnded,
    TurnOptions,
    TurnRecord,
    TurnResult,
    TurnStats,
    Utterance,
)
from jota_http import JotaHttp

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Library(MemoryStore):
    """A few conversations in a dictionary, enough for a door to show."""

    available = True

    def __init__(self) -> None:
        self.owners: dict[int, str] = {}

    async def open_conversation(
        self, owner: str, conversation_id: int | None = None, *, new: bool = False
    ) -> Conversation:
        mine = [number for number, who in self.owners.items() if who == owner]
        if conversation_id is not None:
            self._check(conversation_id, owner)
        elif new or not mine:
            conversation_id = len(self.owners) + 1
            self.owners[conversation_id] = owner
        return Conversation(conversation_id or mine[-1], owner, None, None, NOW, NOW)

    def _check(self, conversation_id: int, owner: str) -> None:
        if self.owners.get(conversation_id) != owner:
            raise MemoryStoreError(Code.NOT_FOUND, "There is no such conversation.")

    async def list_conversations(
        self, owner: str, *, limit: int = 50, offset: int = 0
    ) -> Sequence[Conversation]:
        mine = [number for number, who in self.owners.items() if who == owner]
        return [Conversation(each, owner, None, None, NOW, NOW) for each in mine[offset : offset + limit]]

    async def list_messages(
        self, conversation_id: int, owner: str, *, limit: int = 50, before: str | None = None
    ) -> Sequence[StoredMessage]:
        self._check(conversation_id, owner)
        return [StoredMessage("m1", conversation_id, "t1", "user", "hola", NOW, note="secret note")]

    async def delete_conversation(self, conversation_id: int, owner: str) -> None:
        self._check(conversation_id, owner)
        del self.owners[conversation_id]

    async def set_model(self, conversation_id: int, owner: str, model_id: str) -> None:
        self._check(conversation_id, owner)

    async def begin_turn(self, turn_id: str, conversation_id: int, owner: str, text: str) -> TurnRecord:
        raise AssertionError("the scripted host stores nothing")

    async def checkpoint(self, record: TurnRecord, text: str) -> None:
        raise AssertionError("the scripted host stores nothing")

    async def finish_turn(self, record: TurnRecord, result: TurnResult) -> bool:
        raise AssertionError("the scripted host stores nothing")

    async def recall(self, conversation_id: int, owner: str, *, limit: int) -> Sequence[StoredMessage]:
        return []


class ScriptedSession(Session):
    """Answers by what the prompt says: `say a b c`, `stay`, `flood N`, `fail`, `use tool`."""

    def __init__(self, host: ScriptedHost, principal: Principal, reply: ReplySink) -> None:
        self.id = "ses_" + secrets.token_hex(4)
        self.principal = principal
        self.conversation: int | None = None
        self.closed_at: float | None = None
        self.prompts: list[tuple[str, TurnOptions]] = []
        self.sent = 0
        self._host = host
        self._reply = reply
        self._queue: list[tuple[str, str]] = []
        self._cut: dict[str, ErrorInfo] = {}
        self._current: tuple[str, asyncio.Task[None]] | None = None
        self._worker: asyncio.Task[None] | None = None

    @property
    def conversation_id(self) -> int | None:
        return self.conversation

    def submit(self, text: str, options: TurnOptions = TurnOptions(), *, turn_id: str | None = None) -> str:
        if not text.strip():
            raise Refused(Code.INVALID_REQUEST, "The message is empty. Send some text.")
        if len(text) > 262_144:
            raise Refused(Code.TOO_LARGE, "The message is too long.")
        if len(self._queue) >= 8:
            raise Refused(Code.BUSY, "8 messages are waiting already.", 1.0)
        turn_id = secrets.token_hex(16)
        self.prompts.append((text, options))
        self._queue.append((turn_id, text))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return turn_id

    async def _work(self) -> None:
        while self._queue:
            turn_id, text = self._queue.pop(0)
            task = asyncio.create_task(self._answer(turn_id, text))
            self._current = turn_id, task
            await asyncio.wait({task})
            error = self._cut.pop(turn_id, None)
            if not task.cancelled() and task.exception() is not None:
                error = ErrorInfo(Code.BACKEND_UNAVAILABLE, "No backend is there.", 2.0)
            outcome = Outcome.COMPLETE if error is None else Outcome.INTERRUPTED
            stats = TurnStats(ttft_ms=1.0, tokens=self.sent)
            await self._reply.send(TurnEnded(turn_id, 1, "answer", outcome, True, stats, error))
        self._current = self._worker = None

    async def _answer(self, turn_id: str, text: str) -> None:
        await self._reply.send(TurnBegan(turn_id, self.conversation or 1, "question"))
        verb, *words = text.split()
        if verb == "fail":
            raise RuntimeError
        if verb == "use":
            await self._reply.send(Status(turn_id, f"Using {words[0]} …"))
        if verb == "stay":
            await asyncio.sleep(60)
        if verb == "flood":
            words = ["x" * 1000] * int(words[0])
        for word in words or [text]:
            self.sent += 1
            await self._reply.send(Delta(word))

    def cancel(self, turn_id: str | None = None) -> bool:
        if self._current is None or turn_id not in (None, self._current[0]):
            return False
        self._cut[self._current[0]] = ErrorInfo(Code.CANCELLED, "The turn was cancelled.")
        self._current[1].cancel()
        return True

    def begin_utterance(
        self,
        options: ListenOptions = ListenOptions(),
        audio: AudioFormat = AudioFormat(),
        *,
        turn: TurnOptions | None = TurnOptions(),
        barge_in_chars: int = 0,
    ) -> Utterance:
        raise NotImplementedError("Spoken turns are tested with a real host.")

    def speak(self, options: SpeakOptions | None) -> None:
        raise NotImplementedError("Spoken answers are tested with a real host.")

    async def switch_model(self, model_id: str) -> None:
        await asyncio.sleep(0.05)
        if model_id != "good":
            raise Refused(Code.MODEL_NOT_FOUND, f"Model {model_id!r} is not there.")

    async def close(self) -> None:
        if self.closed_at is None:
            self.closed_at = asyncio.get_running_loop().time()
            self._queue.clear()
            self.cancel()
            self._host.sessions.discard(self)


class ScriptedHost(Sessions):
    """What a door sees of a host."""

    def __init__(self, plugin: JotaHttp) -> None:
        self.library = Library()
        self.memory_is_down = False
        self.sessions: set[ScriptedSession] = set()
        self.opened: list[ScriptedSession] = []
        self._plugin = plugin

    async def authenticate(self, credentials: Credentials) -> Principal:
        principal = await self._plugin.jota_authenticate(credentials)
        if principal is None:
            raise Refused(Code.UNAUTHORIZED, "Nobody knows this key.")
        return principal

    async def open(
        self,
        principal: Principal,
        reply: ReplySink,
        *,
        door: str,
        conversation_id: int | None = None,
        new_conversation: bool = False,
        lazy: bool = False,
    ) -> Session:
        session = ScriptedSession(self, principal, reply)
        if not lazy or conversation_id is not None or new_conversation:
            opened = self.memory.open_conversation(principal.id, conversation_id, new=new_conversation)
            session.conversation = (await opened).id
        self.sessions.add(session)
        self.opened.append(session)
        return session

    @property
    def memory(self) -> MemoryStore:
        if self.memory_is_down:
            raise MemoryStoreError(Code.MEMORY_UNAVAILABLE, "Memory is not there; try again.", 1.0)
        return self.library

    @property
    def inference(self) -> InferenceBackend:
        raise NotImplementedError("This door offers no inference.")

    @property
    def transcription(self) -> TranscriptionBackend:
        raise NotImplementedError("The door asks sessions to listen.")

    def utterance(self, options: ListenOptions, audio: AudioFormat) -> Utterance:
        raise NotImplementedError("The door asks sessions to listen.")

    @property
    def speech(self) -> SpeechBackend:
        raise NotImplementedError("The door asks sessions to speak.")

    async def models(self) -> Sequence[ModelInfo]:
        return [ModelInfo("good", "A good model", loaded=True, context_window=4096)]


@dataclass
class Context(PluginContext):
    """A section's context, as far as a door needs it."""

    data_dir: Path
    section: str = "app"
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("jota.app"))
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    routes: tuple[HttpRoute, ...] = ()
    observers: dict[Any, Any] = field(default_factory=dict)
    """Who hears which facts."""
    report: HealthReport = field(
        default_factory=lambda: HealthReport(
            True,
            (
                SectionReport("memory", "jota_db", ("memory",), State.RUNNING),
                SectionReport("llm", "jota_llama", ("inference",), State.RUNNING),
            ),
        )
    )

    def on_close(self, clean_up: Callable[[], Awaitable[None]]) -> None:
        raise AssertionError("the door closes what it opens by itself")

    def spawn(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        raise AssertionError("the door has no background work")

    def ready(self) -> None:
        self.opened.set()

    def publish(self, event: Event) -> None:
        raise AssertionError("the door tells no facts")

    def subscribe(self, kind: Any, observer: Any) -> None:
        self.observers[kind] = observer

    async def health(self) -> HealthReport:
        return self.report

    def http_routes(self) -> tuple[HttpRoute, ...]:
        return self.routes


@dataclass
class Running:
    """A door that is open."""

    plugin: JotaHttp
    host: ScriptedHost
    context: Context
    serving: asyncio.Task[None]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def session_closed(self, number: int = 0, within_s: float = 2.0) -> float:
        """When a session was closed, by the loop's clock."""
        async with asyncio.timeout(within_s):
            while len(self.host.opened) <= number or self.host.opened[number].closed_at is None:
                await asyncio.sleep(0.005)
        closed_at = self.host.opened[number].closed_at
        assert closed_at is not None
        return closed_at


@asynccontextmanager
async def running_door(
    folder: Path, *, routes: tuple[HttpRoute, ...] = (), **settings: Any
) -> AsyncIterator[Running]:
    """Open a door on a free port; close it afterwards and look for what it left behind."""
    plugin = JotaHttp(JotaHttp.Settings.model_validate({"listen": "127.0.0.1:0"} | settings))
    host, context = ScriptedHost(plugin), Context(folder, routes=routes)
    await plugin.jota_setup(context)
    [door] = plugin.jota_transports()
    serving = asyncio.create_task(door.serve(host))
    opening = asyncio.create_task(context.opened.wait())
    await asyncio.wait({serving, opening}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        opening.cancel()
        serving.result()
    try:
        yield Running(plugin, host, context, serving, door.addresses[0][1])  # type: ignore[attr-defined]
    finally:
        serving.cancel()
        await asyncio.wait({serving})
        if not serving.cancelled() and (error := serving.exception()):
            raise error
        assert not host.sessions, "every session that was opened must be closed"


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Running]:
    """An open door without keys, on loopback."""
    async with running_door(tmp_path) as running:
        yield running


OpenDoor = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def open_door(tmp_path: Path) -> OpenDoor:
    """Open doors with settings of the test's own: `async with open_door(slow_s=1) as door:`."""
    return partial(running_door, tmp_path)


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """The command line runs hosts on uvloop; what touches sockets is tested there as well."""
    both = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return both if item.path.name == "test_wire.py" else {"uvloop": uvloop.new_event_loop}
