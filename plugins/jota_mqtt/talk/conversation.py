"""One node's conversation: its session, the requests that wait for an answer, what it hears and says."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import orjson

from jota_core.api import (
    Code,
    JotaError,
    ListenOptions,
    MemoryStoreError,
    Principal,
    Refused,
    Sentences,
    Session,
    SpeakOptions,
    TurnEnded,
    TurnOptions,
    Utterance,
)

from ..wire.frames import TURNS
from ..wire.payloads import Asked, AudioStart
from ..wire.topics import of_node
from .ears import Ears, format_of
from .mouth import Mouth
from .replies import Replies, error_of
from .requests import Request

if TYPE_CHECKING:
    from ..house import House
    from ..nodes.node import Known, Node

MOST_WAITING = 8
"""Requests of one node that wait for an answer; more are refused."""
MOST_HELD = 128
BARGE_IN_CHARS = 5
REPEATED_S = 600.0
LAST_MESSAGES = 6
ASKED = "You have just asked: “{0}” What follows is the answer to it."
ROLES = frozenset({"chat", "node"})


class Conversation:
    """What this host does for one node that it serves."""

    def __init__(self, house: House, node: Node) -> None:
        self.node = node
        self.every_s = 1 / house.settings.deltas_per_second
        self.ears = Ears(self._begin_utterance)
        self.mouth = Mouth(self._send_sound, node.info.audio.frame_ms)
        self._house = house
        self._since = time.monotonic()
        self._replies = Replies(self)
        self._session: Session | None = None
        self._opening: asyncio.Task[None] | None = None
        self._attaching = asyncio.Lock()
        self._hearing: asyncio.Task[None] | None = None
        self.held: deque[Callable[[], None]] = deque()
        """Sound and its like that came before there was a session."""
        self._waiting: list[Request] = []
        self._requests: dict[str, Request] = {}
        self._turn = 0
        self._question: str | None = None

    # Requests.

    def next_turn(self) -> int:
        """A number for a turn that the node has not numbered."""
        self._turn = (max(self._turn, self.ears.turn, 0) + 1) % TURNS
        return self._turn

    def take(self, request: Request) -> None:
        """Run a request, or tell why not."""
        running = self._requests.get(request.turn_id)
        if running is not None:
            running.deliveries += request.deliveries  # the broker brought it twice
            if running.is_durable:
                running.accepted()
        elif len(self._requests) >= MOST_WAITING:
            sentence = f"{MOST_WAITING} requests wait for their answers. Wait for one first."
            self.refuse(request, Refused(Code.BUSY, sentence, 1.0))
        else:
            self._requests[request.turn_id] = request
            self._waiting.append(request)
            if self._session is not None and self._opening is None and self._is_right(request):
                self._submit_waiting()
            elif self._opening is None:
                self._opening = self._house.tasks.start(f"open {self.node.id}", self._open())

    def _is_right(self, request: Request) -> bool:
        """Whether the session is in the conversation that a request wants."""
        wanted = request.asked.conversation_id
        return self._session is not None and wanted in (None, self._session.conversation_id)

    async def _open(self) -> None:
        try:
            while self._waiting:
                if not self._is_right(self._waiting[0]):
                    await self._attach(self._waiting[0].asked.conversation_id)
                if self._house.may_be_repeated:
                    await self._find_repeated()
                self._submit_waiting()
        except JotaError as error:
            self._refuse_waiting(error)
        finally:
            self._opening = None

    async def _attach(self, wanted: int | None) -> None:
        """A session in the conversation wanted, else the node's own. Raises `JotaError`."""
        async with self._attaching:
            if self._session is None or wanted not in (None, self._session.conversation_id):
                await self._attach_alone(wanted)

    async def _attach_alone(self, wanted: int | None) -> None:
        if self._session is not None:
            if len(self._requests) > len(self._waiting):
                raise Refused(
                    Code.BUSY, "An answer in another conversation is being given. Wait for it.", 1.0
                )
            await self._session.close()
            self._session = None
        house = self._house
        await house.registry.refresh(self._since)  # its host before may have begun a conversation
        known = self.node.known
        principal = Principal(known.user or house.settings.user, ROLES)
        own = known.conversation_id if wanted is None else wanted
        try:
            self._session = await house.open(principal, self._replies, own)
        except (Refused, MemoryStoreError) as error:
            if error.code is not Code.NOT_FOUND or wanted is not None:
                raise
            self._session = await house.open(principal, self._replies, None)  # somebody deleted it
        if wanted is None and self._session.conversation_id != known.conversation_id:
            await house.registry.decide(self.node, self._goes_on_here)
        if house.settings.speaks and self.node.info.audio.down:
            self._session.speak(SpeakOptions(self.node.info.language))

    def _goes_on_here(self, known: Known) -> None:
        if self._session is not None:
            known.conversation_id = self._session.conversation_id

    async def _find_repeated(self) -> None:
        """After a new connection the broker may bring again what was answered: same words, no id."""
        nameless = [request for request in self._waiting if request.id is None]
        session = self._session
        if not nameless or session is None or session.conversation_id is None:
            return
        found = await self._house.sessions.memory.list_messages(
            session.conversation_id, session.principal.id, limit=LAST_MESSAGES
        )
        asked = {
            each.content: each.turn_id
            for each in found
            if each.role == "user" and time.time() - each.created_at.timestamp() < REPEATED_S
        }
        for request in nameless:
            if (turn_id := asked.get(request.asked.text)) is not None and turn_id not in self._requests:
                self._requests[turn_id] = self._requests.pop(request.turn_id)
                request.turn_id = turn_id

    def _submit_waiting(self) -> None:
        session = self._session
        assert session is not None
        while self._waiting and self._is_right(self._waiting[0]):
            request = self._waiting.pop(0)
            try:
                session.submit(request.asked.text, self._options(), turn_id=request.turn_id)
            except Refused as error:
                if error.code is Code.SERVER_RESTART:
                    del self._requests[request.turn_id]  # not acknowledged: it is brought again
                else:
                    self.refuse(request, error)

    def _options(self) -> TurnOptions:
        question, self._question = self._question, None
        return TurnOptions(system_extra=ASKED.format(question)) if question else TurnOptions()

    def _refuse_waiting(self, error: JotaError) -> None:
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            self.refuse(request, error)

    def refuse(self, request: Request, error: JotaError) -> None:
        """It is not run."""
        self._requests.pop(request.turn_id, None)
        request.accepted()
        body = {**request.head, **error_of(error)}
        self.start(self._replies.end(request, "error", body))

    def request_of(self, turn_id: str) -> Request:
        """The request of a turn; one that was spoken gets its own here."""
        found = self._requests.get(turn_id)
        if found is None:
            turn = self.ears.turn if self.ears.turn >= 0 else self.next_turn()
            found = self._requests[turn_id] = Request(self.node.id, Asked(text=""), turn, None, turn_id)
        return found

    def turn_of(self, turn_id: str) -> int:
        """Its number for the node."""
        return self.request_of(turn_id).turn

    def spoken(self, turn_id: str) -> None:
        """What was said has become this turn."""
        self.request_of(turn_id)

    def over(self, request: Request, event: TurnEnded) -> None:
        """A request has got its end."""
        self._requests.pop(event.turn_id, None)
        seen = self.node.seen
        seen.last_turn = {
            "turn_id": event.turn_id, "id": request.id, "outcome": str(event.outcome),
            "at": round(time.time()), "conversation_id": event.conversation_id,
            "code": event.error and str(event.error.code),
        }  # fmt: skip
        self.node.is_changed = True
        if not self._requests:
            self.phase("idle", None)

    def cancel(self, turn: int | None) -> None:
        """Stop listening and answering."""
        self.mouth.hush()
        self.ears.close()
        for request in list(self._requests.values()):
            if turn in (None, request.turn) and self._session is not None:
                self._session.cancel(request.turn_id)

    # Sound.

    def _begin_utterance(self, wish: AudioStart) -> Utterance:
        if self._session is None:
            raise Refused(Code.BUSY, "The conversation is being opened; speak again in a moment.", 0.5)
        if self._requests and not self._house.settings.speaks:
            self._session.cancel()
        options = ListenOptions(wish.language or self.node.info.language)
        utterance = self._session.begin_utterance(
            options, format_of(wish), turn=self._options(), barge_in_chars=BARGE_IN_CHARS
        )
        self.phase("listening", wish.turn)
        return utterance

    def hold(self, do: Callable[[], None]) -> None:
        """Do it once there is a session, in order; more than a few seconds of sound are dropped."""
        if len(self.held) < MOST_HELD:
            self.held.append(do)
        if self._hearing is None:
            self._hearing = self._house.tasks.start(f"hear {self.node.id}", self._open_ears())

    async def _open_ears(self) -> None:
        try:
            if self._session is None:
                await self._attach(None)
            while self.held:
                self.held.popleft()()
        except JotaError as error:
            self.held.clear()
            await self.fail(None, error)
        finally:
            self._hearing = None

    @property
    def is_open(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    async def say(self, text: str, *, asks: bool) -> None:
        """Say a text as it stands; a question opens the node's microphone behind it. Raises `JotaError`."""
        turn, speech = self.next_turn(), self._house.sessions.speech
        if self.node.info.audio.down and speech.available:
            sentences = Sentences()
            for sentence in (*sentences.add(text), sentences.rest()):
                if sentence:
                    async for sound in speech.speak(sentence, SpeakOptions(self.node.info.language)):
                        await self.mouth.say(turn, sound, speech.rate)
            await self.mouth.end(turn)
        body = {"turn": turn, "id": None, "text": text, "outcome": "said"}
        await self.publish("res/final", body, qos=1)
        if asks:
            self._question = text
            await self.command("listen", {"turn": turn})

    # Out.

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something in the background, owned by the house."""
        self._house.tasks.start(self.node.id, _quiet(work))

    def phase(self, phase: str, turn: int | None) -> None:
        """For nodes that say nothing of their own state, the host says what it knows."""
        if not self.node.seen.info:
            self._house.tell_state(self.node, {"phase": phase, "turn": turn})

    async def publish(self, kind: str, body: dict[str, Any], *, qos: int = 0) -> None:
        """Below the node's root."""
        await self._house.tell(of_node(self.node.id, kind), orjson.dumps(body), qos=qos)

    async def publish_at(self, topic: str, payload: bytes, correlation: bytes | None) -> None:
        """Where a request wants its answer."""
        await self._house.tell(topic, payload, qos=1, correlation=correlation)

    async def command(self, verb: str, body: dict[str, Any]) -> None:
        """`cmd/<verb>`; old ones are worth nothing."""
        await self._house.command(self.node.id, verb, body)

    async def _send_sound(self, frame: bytes) -> None:
        await self._house.tell(of_node(self.node.id, "audio/down"), frame)

    async def fail(self, turn: int | None, error: JotaError) -> None:
        """Tell the node what it did wrong, or we."""
        await self.publish("res/error", {"turn": turn, "id": None, **error_of(error)}, qos=1)

    async def close(self) -> None:
        """The node belongs to another host now, or this one ends."""
        self.ears.close()
        self.mouth.hush()
        for task in (self._opening, self._hearing):
            if task is not None:
                task.cancel()
        self._waiting.clear()
        self.held.clear()
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


async def _quiet(work: Coroutine[Any, Any, Any]) -> None:
    await work
