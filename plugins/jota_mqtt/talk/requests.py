"""Requests of a node: each runs once, is acknowledged when it is durable, and is answered where it wants."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from hashlib import sha256

from jota_core.api import Code, Refused

from ..broker.client import Delivery
from ..wire.payloads import Asked
from ..wire.topics import REQUEST_ID, may_answer_at

LONGEST_TURN_ID = 64


@dataclass(slots=True)
class Request:
    """One `req/text` on its way to its answer."""

    node: str
    asked: Asked
    id: str | None
    turn_id: str
    turn: int = 0
    """Its number for the node."""
    response_topic: str | None = None
    correlation: bytes | None = None
    deliveries: list[Delivery] = field(default_factory=list)
    older_client: str | None = None
    """Who asked by the topics of before."""
    is_replayed: bool = False
    """It came for another host first, which died."""
    is_durable: bool = False
    text: str = ""
    """The answer so far."""
    seq: int = 0
    sound_trouble: dict[str, str] | None = None

    def accepted(self) -> None:
        """It is durable, or it was refused: the broker need not bring it again."""
        self.is_durable = True
        for delivery in self.deliveries:
            delivery.acknowledge()
        self.deliveries.clear()

    @property
    def head(self) -> dict[str, object]:
        """What every answer to it begins with."""
        return {"turn": self.turn, "id": self.id, "turn_id": self.turn_id}


def request_of(node: str, asked: Asked, delivery: Delivery) -> Request:
    """The request in a delivery. Raises `Refused`.

    Its id is the payload's or the correlation data; the turn is named after it, so that every host that
    shares the memory knows it again.
    """
    topic = delivery.response_topic
    if topic is not None and not may_answer_at(topic, node):
        raise Refused(Code.FORBIDDEN, f"An answer cannot go to the topic {topic[:64]!r}.")
    id_ = asked.id or _id_of(delivery.correlation)
    turn_id = turn_id_of(node, id_) if id_ else secrets.token_hex(16)
    return Request(
        node, asked, id_, turn_id,
        response_topic=topic, correlation=delivery.correlation, deliveries=[delivery],
        is_replayed=delivery.is_replayed,
    )  # fmt: skip


def turn_id_of(node: str, id_: str) -> str:
    """`<node>:<id>`, or a digest of it when that is too long for a turn's id."""
    name = f"{node}:{id_}"
    return name if len(name) <= LONGEST_TURN_ID else sha256(name.encode()).hexdigest()


def _id_of(correlation: bytes | None) -> str | None:
    if not correlation:
        return None
    text = correlation.decode("ascii", "replace")
    return text if REQUEST_ID.fullmatch(text) else sha256(correlation).hexdigest()[:32]
