"""One node's conversation: its session, and the requests that wait for an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from math import ceil
from typing import TYPE_CHECKING, Any

import orjson

from jota_core.api import (
    Code,
    JotaError,
    MemoryStoreError,
    Principal,
    Refused,
    Session,
    SpeakOptions,
    TurnEnded,
)

from ..wire.frames import TURNS
from ..wire.payloads import Asked
from ..wire.topics import of_node
from .past import Past, told_again
from .replies import Replies, error_of
from .requests import Request
from .voice import Voice

if TYPE_CHECKING:
    from ..house import House
    from ..nodes.node import Known, Node

MOST_WAITING = 8
"""Requests of one node that wait for an answer; more are refused."""
ROLES = frozenset({"chat", "node"})


class Conversation:
    """What this host does for one node that it serves."""

    def __init__(self, house: House, node: Node) -> None:
        self.node = node
        self.every_s = ceil(1000 / house.settings.deltas_per_second) / 1000
        """Between two pieces of an answer; uvloop's timers know whole milliseconds only."""
        self.voice = Voice(self, house)
        self.session: Session | None = None
        self._house = house
        self._since = time.monotonic()
        self._replies = Replies(self)
        self._opening: asyncio.Task[None] | None = None
        self._attaching = asyncio.Lock()
        self._speaks: SpeakOptions | None = None
        self._waiting: list[Request] = []
        self._requests: dict[str, Request] = {}
        self._turn = 0

    # Requests.

    def next_turn(self) -> int:
        """A number for a turn that the node has not numbered."""
        self._turn = (max(self._turn, self.voice.ears.turn, 0) + 1) % TURNS
        return self._turn

    def take(self, request: Request) -> None:
        """Run a request, or tell why not."""
        request.turn = self.next_turn()
        running = self._requests.get(request.turn_id)
        if running is not None:
            running.deliveries += request.deliveries  # the broker brought it twice
            if running.is_durable:
                running.accepted()
        elif len(self._requests) >= MOST_WAITING and not request.is_replayed:
            sentence = f"{MOST_WAITING} requests wait for their answers. Wait for one first."
            self.refuse(request, Refused(Code.BUSY, sentence, 1.0))
        else:
            self._requests[request.turn_id] = request
            self._waiting.append(request)
            is_ready = self.session is not None and self._opening is None and not request.is_replayed
            if is_ready and self._is_right(request):
                self._submit_waiting()
            elif self._opening is None:
                self._opening = self._house.tasks.start(f"open {self.node.id}", self._open())

    def _is_right(self, request: Request) -> bool:
        """Whether the session is in the conversation that a request wants."""
        wanted = request.asked.conversation_id
        return self.session is not None and wanted in (None, self.session.conversation_id)

    async def _open(self) -> None:
        try:
            while self._waiting:
                if not self._is_right(self._waiting[0]):
                    await self.attach(self._waiting[0].asked.conversation_id)
                if self._house.may_be_repeated or any(each.is_replayed for each in self._waiting):
                    await self._look_back()
                self._submit_waiting()
        except JotaError as error:
            self._refuse_waiting(error)
        finally:
            self._opening = None

    async def attach(self, wanted: int | None = None) -> None:
        """A session in the conversation wanted, else the node's own. Raises `JotaError`."""
        async with self._attaching:
            if self.session is None or wanted not in (None, self.session.conversation_id):
                await self._attach_alone(wanted)

    async def _attach_alone(self, wanted: int | None) -> None:
        if self.session is not None:
            if len(self._requests) > len(self._waiting):
                raise Refused(
                    Code.BUSY, "An answer in another conversation is being given. Wait for it.", 1.0
                )
            await self.session.close()
            self.session = None
        house = self._house
        await house.registry.refresh(self._since)  # its host before may have begun a conversation
        known = self.node.known
        principal = Principal(known.user or house.settings.user, ROLES)
        own = known.conversation_id if wanted is None else wanted
        try:
            self.session = await house.open(principal, self._replies, own)
        except (Refused, MemoryStoreError) as error:
            if error.code is not Code.NOT_FOUND or wanted is not None:
                raise
            self.session = await house.open(principal, self._replies, None)  # somebody deleted it
        if wanted is None and self.session.conversation_id != known.conversation_id:
            await house.registry.decide(self.node, self._goes_on_here)
        self._speaks = None
        self.follow_info()

    def follow_info(self) -> None:
        """Say answers aloud where the node can play them, from the next turn on."""
        info = self.node.info
        self.voice.mouth.frame_ms = info.audio.frame_ms
        wanted = SpeakOptions(info.language) if self._house.settings.speaks and info.audio.down else None
        if self.session is not None and wanted != self._speaks:
            self._speaks = wanted
            self.session.speak(wanted)

    def _goes_on_here(self, known: Known) -> None:
        if self.session is not None:
            known.conversation_id = self.session.conversation_id

    async def _look_back(self) -> None:
        """The broker, or a host that died, may bring again what was answered; it is told again, not run."""
        assert self.session is not None
        past = await Past.of(self._house.sessions.memory, self.session)
        for request in list(self._waiting):
            turn_id = past.asked.get(request.asked.text) if request.id is None else None
            if turn_id is not None and turn_id not in self._requests:
                self._requests[turn_id] = self._requests.pop(request.turn_id)
                request.turn_id = turn_id
            if request.is_replayed and (answer := past.ended.get(request.turn_id)) is not None:
                self._waiting.remove(request)
                del self._requests[request.turn_id]
                request.accepted()
                await self._replies.end(request, "final", told_again(request, answer))

    def _submit_waiting(self) -> None:
        session = self.session
        assert session is not None
        while self._waiting and self._is_right(self._waiting[0]):
            request = self._waiting.pop(0)
            try:
                session.submit(request.asked.text, self.voice.options(), turn_id=request.turn_id)
            except Refused as error:
                if error.code is Code.SERVER_RESTART:
                    del self._requests[request.turn_id]  # not acknowledged: it is brought again
                else:
                    self.refuse(request, error)

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
            turn = self.voice.ears.turn if self.voice.ears.turn >= 0 else self.next_turn()
            found = Request(self.node.id, Asked(text=""), None, turn_id, turn)
            self._requests[turn_id] = found
        return found

    def turn_of(self, turn_id: str) -> int:
        """Its number for the node."""
        found = self._requests.get(turn_id)
        return self._turn if found is None else found.turn

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
        self.voice.mouth.hush()
        self.voice.ears.close()
        for request in list(self._requests.values()):
            if turn in (None, request.turn) and self.session is not None:
                self.session.cancel(request.turn_id)

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

    async def fail(self, turn: int | None, error: JotaError) -> None:
        """Tell the node what it did wrong, or we."""
        await self.publish("res/error", {"turn": turn, "id": None, **error_of(error)}, qos=1)

    async def close(self) -> None:
        """The node belongs to another host now, or this one ends."""
        self.voice.close()
        if self._opening is not None:
            self._opening.cancel()
        self._waiting.clear()
        if self.session is not None:
            session, self.session = self.session, None
            await session.close()


async def _quiet(work: Coroutine[Any, Any, Any]) -> None:
    await work
