"""Requests that another host answers, kept for as long as it may die over them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import count
from time import monotonic

import orjson

from ..broker.client import Delivery
from ..wire.payloads import read_asked

WITNESS_S = 10.0
MOST = 1000
Key = tuple[str, str]
"""Node, and the request's id or a number of our own."""


class Witness:
    """Bounded in number and time; an answer that is seen ends it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, tuple[float, Delivery]] = OrderedDict()
        self._numbers = count()

    def saw(self, node: str, delivery: Delivery, *, may_wait: bool) -> None:
        """A request came; unless it `may_wait` at the broker, that may forget it."""
        if len(self._kept) >= MOST:
            self._kept.popitem(last=False)[1][1].acknowledge()
        self._kept[node, _id_of(delivery) or f"#{next(self._numbers)}"] = (monotonic(), delivery)
        if not may_wait:
            delivery.acknowledge()

    def answered(self, node: str, payload: bytes) -> None:
        """The node was told the end of a request; one without an id ends the oldest without."""
        try:
            told = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return
        id_ = told.get("id") if isinstance(told, dict) else None
        if id_ is None:
            id_ = next((key for owner, key in self._kept if owner == node and key[0] == "#"), None)
        if (found := self._kept.pop((node, str(id_)), None)) is not None:
            found[1].acknowledge()

    def called(self) -> Iterator[Delivery]:
        """Everything that is not too old, to be looked at again; nothing is kept any more."""
        kept, self._kept = list(self._kept.values()), OrderedDict()
        for at, delivery in kept:
            if monotonic() - at < WITNESS_S:
                yield delivery
            else:
                delivery.acknowledge()


def _id_of(delivery: Delivery) -> str | None:
    try:
        return read_asked(delivery.payload).id
    except Exception:  # noqa: BLE001 - what is wrong with it is told by the host that answers
        return None
