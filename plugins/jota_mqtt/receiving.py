"""What a node of ours sends, kind by kind."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

import orjson

from jota_core.api import Code, JotaError, Refused

from .broker.client import Delivery
from .nodes.node import KNOWN_WORDS, Node
from .talk.replies import error_of
from .talk.requests import Request, request_of
from .wire.frames import parse
from .wire.payloads import LONGEST, Asked, AudioStart, Info, Older, TurnNamed, read, read_asked, text_of
from .wire.topics import of_node

if TYPE_CHECKING:
    from .house import House

LOG_EVERY_S = 60.0
MOST_PAIRING = 100
"""Strangers that are told their code at once; more have to ask again."""
STALE_S = 0.5
"""What other hosts decided is not read more often for strangers."""
NOT_APPROVED = (
    "This node is not approved yet. On the host: `jota nodes approve {id} {code}`, within five minutes."
)


class Receiving:
    """Takes messages of nodes; what is wrong with one is told to its node, and counted."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._logged: dict[str, float] = {}
        self._pairing = 0
        self._ways: dict[str, Callable[[Node, Delivery], None]] = {
            "status": self._status, "info": self._info, "state": self._state, "event": self._event,
            "req/text": self._text, "req/say": self._say, "req/ask": self._ask, "req/cancel": self._cancel,
            "req/audio/start": self._audio_start, "req/audio/stop": self._audio_stop,
            "audio/up": self._audio, "older": self._older,
        }  # fmt: skip

    def take(self, node: Node, kind: str, delivery: Delivery) -> None:
        """One message of a node."""
        way = self._ways.get(kind)
        if way is None or (delivery.message.retain and kind.startswith(("req/", "audio/"))):
            self._house.ignored += 1  # unknown, or a command of long ago that the broker kept
            delivery.acknowledge()
            return
        try:
            way(node, delivery)
        except JotaError as error:
            delivery.acknowledge()
            self._wrong(node, kind, error)

    def _wrong(self, node: Node, kind: str, error: JotaError) -> None:
        self._house.ignored += 1
        now = monotonic()
        if now - self._logged.get(node.id, float("-inf")) > LOG_EVERY_S:
            if len(self._logged) > 1000:
                self._logged.clear()
            self._logged[node.id] = now
            self._house.log.warning("Node %s sent a wrong %s: %s", node.id, kind, error.sentence)
        self._house.tasks.start("wrong", self._tell(node, error))

    async def _tell(self, node: Node, error: JotaError, request_id: str | None = None) -> None:
        body = {"turn": None, "id": request_id, **error_of(error)}
        await self._house.tell(of_node(node.id, "res/error"), orjson.dumps(body), qos=1)

    # What a node is.

    def _status(self, node: Node, delivery: Delivery) -> None:
        delivery.acknowledge()
        word = text_of(delivery.payload)
        if word not in KNOWN_WORDS:
            raise Refused(Code.INVALID_REQUEST, f"A status is one of {', '.join(KNOWN_WORDS)}.")
        if word == "online":
            self._flapped(node)
        node.seen.status = word
        node.saw()

    def _flapped(self, node: Node) -> None:
        was_two = node.is_two
        node.flapped()
        if node.is_two and not was_two:
            self._house.log.warning("Two devices seem to be the node %s; give one another id.", node.id)

    def _info(self, node: Node, delivery: Delivery) -> None:
        delivery.acknowledge()
        read(Info, delivery.payload)  # raises for what is none
        told = orjson.loads(delivery.payload) if delivery.payload.strip() else {}
        if told != node.seen.info:
            self._flapped(node)
            node.seen.info = told
            node.saw()
            self._house.tasks.start("meet", self._house.met(node))

    def _state(self, node: Node, delivery: Delivery) -> None:
        delivery.acknowledge()
        if len(delivery.payload) > LONGEST // 8:
            raise Refused(Code.TOO_LARGE, "A state has at most 8 KiB.")
        try:
            told = orjson.loads(delivery.payload or b"{}")
        except orjson.JSONDecodeError:
            raise Refused(Code.INVALID_REQUEST, "A state is JSON.") from None
        if isinstance(told, dict) and told != node.seen.state:
            node.seen.state = told
            node.saw()

    def _event(self, node: Node, delivery: Delivery) -> None:
        delivery.acknowledge()
        node.saw()

    # What it wants.

    def _text(self, node: Node, delivery: Delivery) -> None:
        self._request(node, read_asked(delivery.payload), delivery)

    def _request(self, node: Node, asked: Asked, delivery: Delivery) -> None:
        request = request_of(node.id, asked, delivery)
        if self._is_welcome(node, request):
            self._house.talk(node).take(request)

    def _is_welcome(self, node: Node, request: Request | None = None) -> bool:
        node.saw()
        if node.known.is_approved:
            return True
        if self._house.settings.approve_new:
            node.known.is_approved = True
            self._house.tasks.start("approve", self._approve(node))
            return True
        if self._pairing < MOST_PAIRING:
            self._pairing += 1
            self._house.tasks.start("pair", self._ask_to_pair(node, request))
        elif request is not None:
            self._house.ignored += 1
            request.accepted()
        return False

    async def _approve(self, node: Node) -> None:
        try:
            await self._house.registry.approve(node.id, None)
        except JotaError as error:
            self._house.log.warning("Node %s could not be kept: %s", node.id, error.sentence)
        await self._house.discovery.announce(node)

    async def _ask_to_pair(self, node: Node, request: Request | None) -> None:
        """A stranger: tell it the code that somebody has to type."""
        house = self._house
        try:
            if not house.registry.is_loaded:
                raise Refused(Code.MEMORY_UNAVAILABLE, "Nodes are not known yet. Try again in a moment.", 2.0)
            await house.registry.refresh(monotonic() - STALE_S)
            if node.known.is_approved:  # at another host
                self._welcome_late(node, request)
                return
            code = await house.registry.pair(node)
            error: JotaError = Refused(Code.FORBIDDEN, NOT_APPROVED.format(id=node.id, code=code))
            extra = {"pairing_code": code}
        except JotaError as found:
            error, extra = found, {}
        finally:
            self._pairing -= 1
        head = request.head if request else {"turn": None, "id": None}
        await house.tell(
            of_node(node.id, "res/error"), orjson.dumps({**head, **error_of(error), **extra}), qos=1
        )
        if request is not None:
            request.accepted()

    def _welcome_late(self, node: Node, request: Request | None) -> None:
        if request is not None:
            self._house.talk(node).take(request)

    def _older(self, node: Node, delivery: Delivery) -> None:
        told = read(Older, delivery.payload)
        request = request_of(node.id, Asked(text=told.text), delivery)
        request.older_client = told.client_id
        if self._is_welcome(node, request):
            self._house.talk(node).take(request)

    def _say(self, node: Node, delivery: Delivery, *, asks: bool = False) -> None:
        asked = read_asked(delivery.payload)
        delivery.acknowledge()
        if not asked.text.strip():
            raise Refused(Code.INVALID_REQUEST, "There is nothing to say.")
        if self._is_welcome(node):
            self._house.tasks.start("say", self._said(node, asked.text, asks=asks))

    def _ask(self, node: Node, delivery: Delivery) -> None:
        self._say(node, delivery, asks=True)

    async def _said(self, node: Node, text: str, *, asks: bool) -> None:
        try:
            await self._house.talk(node).voice.say(text, asks=asks)
        except JotaError as error:
            await self._tell(node, error)

    def _cancel(self, node: Node, delivery: Delivery) -> None:
        delivery.acknowledge()
        told = read(TurnNamed, delivery.payload)
        if self._is_welcome(node):
            self._house.talk(node).cancel(told.turn)

    # What it says.

    def _audio_start(self, node: Node, delivery: Delivery) -> None:
        delivery.acknowledge()
        wish = read(AudioStart, delivery.payload)
        if self._is_welcome(node):
            voice = self._house.talk(node).voice
            voice.do(lambda: voice.ears.start(wish))

    def _audio_stop(self, node: Node, delivery: Delivery) -> None:
        delivery.acknowledge()
        told = read(TurnNamed, delivery.payload)
        if node.known.is_approved:
            voice = self._house.talk(node).voice
            voice.do(lambda: voice.ears.stop(told.turn))

    def _audio(self, node: Node, delivery: Delivery) -> None:
        frame = parse(delivery.payload)
        if node.known.is_approved or self._house.settings.approve_new:
            voice = self._house.talk(node).voice
            voice.do(lambda: voice.ears.frame(frame))
        elif frame.is_start:
            self._is_welcome(node)
