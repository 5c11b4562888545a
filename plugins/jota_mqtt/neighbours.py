"""The hosts of one broker: who is there, which nodes are ours, what came for those of others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from jota_core.api import MemoryStoreError

from .broker.client import Delivery
from .nodes.ownership import BEAT_S, LEASE_S, Ownership
from .talk.witness import Witness
from .wire.payloads import Owner
from .wire.topics import of_host, of_node

if TYPE_CHECKING:
    from .house import House

SETTLE_S = 3.0
"""What the broker keeps has come by then, even if our own echo has not."""


class Neighbours:
    """This host among the others; `settled` is called when it knows which nodes are its own."""

    def __init__(self, house: House, settled: Callable[[], None]) -> None:
        self.ownership = Ownership(house.host)
        self._house = house
        self._settled = settled
        self._witness = Witness()
        self._hears_others = False
        self._greeting: asyncio.Task[None] | None = None
        self._receive: Callable[[Delivery], None]

    def replay_to(self, receive: Callable[[Delivery], None]) -> None:
        """Who takes messages that were kept for nodes that have become ours."""
        self._receive = receive

    # The life of a connection.

    def opened(self) -> None:
        """There is a line to the broker."""
        self._greeting = self._house.tasks.start("greet", self._greet())

    def lost(self) -> None:
        """There is none; others may take our nodes now, which the broker will tell."""
        self.ownership.is_settled = self._hears_others = False
        if self._greeting is not None:
            self._greeting.cancel()

    async def _greet(self) -> None:
        """Say that we are there; when the echo comes, everything that the broker keeps has come before."""
        await self._say_here()
        await self._house.registry.read.wait()
        await self._house.publish(of_host(self._house.host, "sync"), b"1")
        await asyncio.sleep(SETTLE_S)
        if not self.ownership.is_settled:
            await self._settle()

    async def _settle(self) -> None:
        self.ownership.is_settled = True
        await self._take_orphans()
        for node in self.ownership.mine():
            await self._tell_owner(node)
        self._replay()
        self._settled()

    async def beat(self) -> None:
        """Say again and again that this host is there, and look for those that are not any more."""
        renewed = monotonic()
        while True:
            await asyncio.sleep(BEAT_S)
            await self._say_here()
            if self.ownership.forget_dead():
                await self._take_orphans()
            if monotonic() - renewed > LEASE_S / 2:
                renewed = monotonic()
                for node in self.ownership.mine():
                    await self._tell_owner(node)

    async def _say_here(self) -> None:
        await self._house.keep(of_host(self._house.host, "status"), b"online")

    # Messages.

    def heard_host(self, host: str, kind: str, delivery: Delivery) -> None:
        """Below `jota/v1/host/`."""
        is_own, word = host == self._house.host, delivery.payload.decode(errors="replace")
        if kind == "sync" and is_own and not self.ownership.is_settled:
            self._house.tasks.start("settle", self._settle())
        elif kind == "node" and not is_own:
            self._house.tasks.start("refresh", self._house.refresh(word))
        elif kind == "status" and not is_own:
            self._listen_to_others()
            if self.ownership.heard_host(host, word):
                self._house.log.info("Host %s is gone.", host)
                self._house.tasks.start("orphans", self._take_orphans())
        elif kind == "status" and word != "online":
            self._house.tasks.start("here", self._say_here())  # the will of a life of ours that is over

    def heard_owner(self, node: str, delivery: Delivery) -> None:
        """`owner` of a node. Raises `ValueError` for what is none."""
        owner = Owner.model_validate_json(delivery.payload) if delivery.payload else None
        if self.ownership.heard_owner(node, owner):
            self._house.log.info("Node %s is served by host %s now.", node, owner.host if owner else "nobody")
            self._house.tasks.start("leave", self._house.drop_talk(node))
        elif owner is not None and owner.host != self._house.host and self.ownership.is_mine(node):
            self._house.tasks.start("owner", self._tell_owner(node))

    def serves(self, node: str) -> bool:
        """Whether a node is ours; one that nobody serves may become so now."""
        ownership = self.ownership
        if ownership.is_settled and ownership.is_free(node) and ownership.is_meant(node):
            ownership.claim(node)
            self._house.tasks.start("claimed", self._claimed(node))
        return ownership.is_settled and ownership.is_mine(node)

    async def _claimed(self, node: str) -> None:
        await self._tell_owner(node)
        await self._house.discovery.announce_named(node)

    async def _tell_owner(self, node: str) -> None:
        owner = self.ownership.claim(node)
        await self._house.keep(of_node(node, "owner"), owner.model_dump_json().encode())

    def see(self, node: str, kind: str, delivery: Delivery) -> None:
        """What another host answers for is kept for as long as that may die over it."""
        if kind in ("req/text", "req/ask", "req/say", "req/cancel"):
            self._witness.saw(node, delivery, may_wait=not self.ownership.is_settled)
            return
        if kind in ("res/final", "res/error"):
            self._witness.answered(node, delivery.payload)
        delivery.acknowledge()

    def _listen_to_others(self) -> None:
        """Where there are other hosts, their answers tell which requests need no witness any more."""
        if not self._hears_others:
            self._hears_others = True
            topics = [(of_node("+", kind), 0) for kind in ("res/final", "res/error")]
            self._house.tasks.start("others", self._house.subscribe(topics))

    async def _take_orphans(self) -> None:
        taken = self.ownership.orphans() if self.ownership.is_settled else []
        for node in taken:
            self.ownership.claim(node)
            await self._tell_owner(node)
        if taken:
            self._house.log.info("Serving %d nodes that nobody serves.", len(taken))
            with contextlib.suppress(MemoryStoreError):  # read again before each node's first request
                await self._house.registry.refresh()
            self._replay()

    def _replay(self) -> None:
        for delivery in self._witness.called():
            delivery.is_replayed = True
            self._receive(delivery)
