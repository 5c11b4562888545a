"""Every message that comes finds who takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jota_core.api import Refused

from .broker.client import Delivery
from .receiving import Receiving
from .wire.payloads import Older, read
from .wire.topics import HOSTS, OLDER_STT, of_host, of_node, split

if TYPE_CHECKING:
    from .house import House

FOR_ALL = ("status", "info", "state")
"""What every host wants to know of every node."""


class Mail:
    """Sorts what the broker brings."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._neighbours = house.neighbours
        self._receiving = Receiving(house)
        self._home = f"{house.settings.home_assistant_prefix}/status"

    @property
    def subscriptions(self) -> list[tuple[str, int]]:
        """Everything that a host listens to; what must not be lost at QoS 1."""
        kinds = (*FOR_ALL, "event", "owner", "audio/up")
        topics = [(of_node("+", kind), 0) for kind in kinds]
        topics += [(of_host("+", "status"), 0), (of_host("+", "node"), 0)]
        topics += [(of_host(self._house.host, "sync"), 0), (of_node("+", "req/#"), 1)]
        if self._house.settings.home_assistant:
            topics.append((self._home, 0))
        return [*topics, (OLDER_STT, 1)] if self._house.settings.older_topics else topics

    def receive(self, delivery: Delivery) -> None:
        """Take one message; never raises."""
        try:
            self._sort(delivery)
        except Exception:
            self._house.log.exception("A message could not be taken.")
            delivery.acknowledge()

    def _sort(self, delivery: Delivery) -> None:
        topic = delivery.topic
        if (found := split(topic)) is not None:
            self._of_node(*found, delivery)
        elif topic == OLDER_STT:
            self._older(delivery)
        else:
            delivery.acknowledge()
            if (found := split(topic, HOSTS)) is not None:
                self._neighbours.heard_host(*found, delivery)
            elif topic == self._home and delivery.payload == b"online":
                self._house.tasks.start("announce", self._house.discovery.announce_all())
            else:
                self._house.ignored += 1

    def _of_node(self, node_id: str, kind: str, delivery: Delivery) -> None:
        if kind == "owner":
            delivery.acknowledge()
            self._owner(node_id, delivery)
        elif (node := self._house.registry.meet(node_id)) is None:
            delivery.acknowledge()
            self._house.ignored += 1
        elif self._neighbours.serves(node_id):
            self._receiving.take(node, kind, delivery)
        else:
            self._neighbours.see(node_id, kind, delivery)
            if kind in FOR_ALL:
                self._receiving.take(node, kind, delivery)

    def _owner(self, node_id: str, delivery: Delivery) -> None:
        try:
            self._neighbours.heard_owner(node_id, delivery)
        except ValueError:
            self._house.ignored += 1

    def _older(self, delivery: Delivery) -> None:
        try:
            told = read(Older, delivery.payload)
        except Refused:
            delivery.acknowledge()
            self._house.ignored += 1
            return
        node = self._house.registry.meet(told.client_id)
        if node is None or not self._neighbours.serves(told.client_id):
            delivery.acknowledge()
        else:
            self._receiving.take(node, "older", delivery)
