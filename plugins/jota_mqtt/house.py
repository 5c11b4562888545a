"""All nodes of one host: every message finds its node, and the node its conversation."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

import orjson

from jota_core.api import (
    Code,
    MemoryStoreError,
    PluginContext,
    Principal,
    Refused,
    ReplySink,
    Session,
    Sessions,
    TaskOwner,
)

from .broker.link import Delivery, Link
from .nodes.discovery import Discovery
from .nodes.node import Node
from .nodes.ownership import BEAT_S, LEASE_S, Ownership
from .nodes.registry import Registry
from .settings import MqttSettings
from .talk.conversation import Conversation
from .talk.witness import Witness
from .wire.payloads import Owner
from .wire.topics import HOSTS, NODES, OLDER_STT, of_host, of_node

KEEP_S = 2.0
MOST_OWED = 1000
AFTER_CONNECT_S = 5.0
"""For so long after a connection the broker may bring again what we had not acknowledged."""
COMMAND_S = 10
SETTLE_S = 3.0


class House:
    """What this host knows and does; `run` until cancelled."""

    def __init__(self, settings: MqttSettings, sessions: Sessions, ctx: PluginContext, host: str) -> None:
        self.settings = settings
        self.sessions = sessions
        self.host = host
        self.log = ctx.log
        self.tasks = TaskOwner("nodes")
        self.registry = Registry(lambda: sessions.memory, settings.max_nodes)
        self.ownership = Ownership(host)
        self.ignored = 0
        """Messages that were none for us."""
        self.draining = False
        self._section = ctx.section
        self._ready = ctx.ready
        self._link: Link
        self._talks: dict[str, Conversation] = {}
        self._witness = Witness()
        self._owed: deque[tuple[str, str, bytes, bytes | None]] = deque(maxlen=MOST_OWED)
        self._hears_others = False
        self._connected_at = 0.0
        self._greeting: asyncio.Task[None] | None = None
        self._take: Callable[[Node, str, Delivery], None]
        self.discovery = Discovery(self, settings.home_assistant_prefix)

    def connect(self, link: Link, take: Callable[[Node, str, Delivery], None]) -> None:
        """Give it its line, and who takes messages of nodes that it serves."""
        self._link, self._take = link, take

    @property
    def is_modern(self) -> bool:
        """Whether the broker speaks MQTT 5."""
        return self._link.is_modern

    @property
    def may_be_repeated(self) -> bool:
        """Whether a request without an id may be one that was answered before."""
        return monotonic() - self._connected_at < AFTER_CONNECT_S

    @property
    def trouble(self) -> str:
        """Why nodes are not served now."""
        return self._link.trouble

    @property
    def subscriptions(self) -> list[tuple[str, int]]:
        """Everything that a host listens to; what must not be lost at QoS 1."""
        kinds = ("status", "info", "state", "event", "owner", "audio/up")
        topics = [(of_node("+", kind), 0) for kind in kinds]
        topics += [(of_host("+", "status"), 0), (of_host("+", "node"), 0), (of_host(self.host, "sync"), 0)]
        topics.append((of_node("+", "req/#"), 1))
        if self.settings.home_assistant:
            topics.append((f"{self.settings.home_assistant_prefix}/status", 0))
        return [*topics, (OLDER_STT, 1)] if self.settings.older_topics else topics

    # The life of a connection.

    async def run(self) -> None:
        """Be connected, keep what is seen, say that this host is there. Raises `AuthFailed`."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._link.run(self._opened, self.receive, self._lost))
                group.create_task(self._beat())
                group.create_task(self._keep())
        except ExceptionGroup as group:
            raise group.exceptions[0] from None  # `AuthFailed` means what it says
        finally:
            await self.close()

    def _opened(self) -> None:
        self._connected_at = monotonic()
        self._greeting = self.tasks.start("greet", self._greet())
        self._ready()

    def _lost(self) -> None:
        """Others may take our nodes now; what the broker keeps will tell."""
        self.ownership.is_settled = self._hears_others = False
        if self._greeting is not None:
            self._greeting.cancel()

    async def _greet(self) -> None:
        """Say that we are there; when the echo comes, everything that the broker keeps has come before."""
        await self._link.publish(of_host(self.host, "status"), "online", qos=1, retain=True)
        await self._load()
        await self._link.publish(of_host(self.host, "sync"), b"1", qos=1)
        await asyncio.sleep(SETTLE_S)
        if not self.ownership.is_settled:
            await self._settle()

    async def _load(self) -> None:
        while not self.registry.is_loaded:
            try:
                await self.registry.load()
            except MemoryStoreError as error:
                self.log.warning("Nodes are not known yet: %s", error.sentence)
                if error.code is Code.UNSUPPORTED:
                    return
                await asyncio.sleep(KEEP_S)

    async def _settle(self) -> None:
        self.ownership.is_settled = True
        await self._take_orphans()
        for node in self.ownership.mine():
            await self._tell_owner(node)
        owed, self._owed = self._owed, deque(maxlen=MOST_OWED)
        for node_id, topic, payload, correlation in owed:
            if self.ownership.is_mine(node_id):
                await self.tell(topic, payload, qos=1, correlation=correlation)
        self._replay()
        await self.discovery.announce_all()

    def _replay(self) -> None:
        """What came for nodes that are ours now, and was not ours or not settled when it came."""
        for delivery in self._witness.called():
            self.receive(delivery)

    async def _beat(self) -> None:
        renewed = monotonic()
        while True:
            await asyncio.sleep(BEAT_S)
            if not self._link.is_open:
                continue
            await self._link.publish(of_host(self.host, "status"), "online", qos=1, retain=True)
            if self.ownership.forget_dead():
                await self._take_orphans()
            if monotonic() - renewed > LEASE_S / 2:
                renewed = monotonic()
                for node in self.ownership.mine():
                    self.ownership.claim(node)
                    await self._tell_owner(node)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(KEEP_S)
            with contextlib.suppress(MemoryStoreError):  # told by the memory's own health; kept next time
                await self.registry.keep_seen(self.ownership.is_mine)

    async def close(self) -> None:
        """Leave every node."""
        talks, self._talks = list(self._talks.values()), {}
        await asyncio.gather(*(talk.close() for talk in talks))
        await self.tasks.close()

    # Messages.

    def receive(self, delivery: Delivery) -> None:
        """Take one message; never raises."""
        try:
            self._receive(delivery)
        except Exception:
            self.log.exception("A message could not be taken.")
            delivery.acknowledge()

    def _receive(self, delivery: Delivery) -> None:
        from .wire.topics import split

        topic = delivery.topic
        if (found := split(topic)) is not None:
            self._of_node(*found, delivery)
            return
        if (found := split(topic, HOSTS)) is not None:
            self._of_host(*found, delivery)
        elif topic == f"{self.settings.home_assistant_prefix}/status":
            if delivery.payload == b"online":
                self.tasks.start("announce", self.discovery.announce_all())
        elif topic == OLDER_STT:
            self._of_node_before(delivery)
            return
        else:
            self.ignored += 1
        delivery.acknowledge()

    def _of_host(self, host: str, kind: str, delivery: Delivery) -> None:
        if kind == "sync" and host == self.host and not self.ownership.is_settled:
            self.tasks.start("settle", self._settle())
        elif kind == "node" and host != self.host:
            self.tasks.start("refresh", self._refresh(delivery.payload.decode(errors="replace")))
        elif kind == "status" and host != self.host:
            self._listen_to_others()
            if self.ownership.heard_host(host, delivery.payload.decode(errors="replace")):
                self.log.info("Host %s is gone.", host)
                self.tasks.start("orphans", self._take_orphans())
        elif kind == "status" and delivery.payload != b"online":
            self.tasks.start("here", self._say_here())  # the will of a life of ours that is over

    def _listen_to_others(self) -> None:
        """Where there are other hosts, their answers tell which requests need no witness any more."""
        if not self._hears_others:
            self._hears_others = True
            topics = [(of_node("+", kind), 0) for kind in ("res/final", "res/error")]
            self.tasks.start("others", self._link.subscribe(topics))

    async def _say_here(self) -> None:
        await self._link.publish(of_host(self.host, "status"), "online", qos=1, retain=True)

    async def _refresh(self, node_id: str) -> None:
        with contextlib.suppress(MemoryStoreError):
            await self.registry.refresh()
        if (node := self.registry.get(node_id)) is not None:
            await self._decided(node)

    def _of_node(self, node_id: str, kind: str, delivery: Delivery) -> None:
        if kind == "owner":
            self._heard_owner(node_id, delivery)
            delivery.acknowledge()
            return
        node = self.registry.meet(node_id)
        if node is None:
            self.ignored += 1
            delivery.acknowledge()
        elif self._serves(node_id):
            self._take(node, kind, delivery)
        else:
            self._keep_as_witness(node_id, kind, delivery)
            if kind in ("status", "info", "state"):
                self._take(node, kind, delivery)

    def _serves(self, node_id: str) -> bool:
        """Whether the node is ours; one that nobody serves may become so now."""
        ownership = self.ownership
        if not ownership.is_settled:
            return False
        if ownership.is_free(node_id) and ownership.is_meant(node_id):
            ownership.claim(node_id)
            self.tasks.start("claimed", self._claimed(node_id))
        return ownership.is_mine(node_id)

    def _keep_as_witness(self, node_id: str, kind: str, delivery: Delivery) -> None:
        """Keep a request that another host answers for as long as that may die over it."""
        if kind in ("res/final", "res/error"):
            self._witness.answered(node_id, delivery.payload)
        elif kind in ("req/text", "req/ask", "req/say", "req/cancel"):
            self._witness.saw(node_id, delivery, may_wait=not self.ownership.is_settled)
            return
        delivery.acknowledge()

    def _heard_owner(self, node_id: str, delivery: Delivery) -> None:
        try:
            owner = Owner.model_validate_json(delivery.payload) if delivery.payload else None
        except ValueError:
            self.ignored += 1
            return
        if self.ownership.heard_owner(node_id, owner):
            self.log.info("Node %s is served by host %s now.", node_id, owner.host if owner else "nobody")
            if (talk := self._talks.pop(node_id, None)) is not None:
                self.tasks.start("leave", talk.close())
        elif owner is not None and owner.host != self.host and self.ownership.is_mine(node_id):
            self.tasks.start("owner", self._tell_owner(node_id))

    async def _take_orphans(self) -> None:
        taken = self.ownership.orphans() if self.ownership.is_settled else []
        for node_id in taken:
            self.ownership.claim(node_id)
            await self._tell_owner(node_id)
        if taken:
            self.log.info("Serving %d nodes that nobody serves.", len(taken))
            with contextlib.suppress(MemoryStoreError):
                await self.registry.refresh()
            self._replay()

    def _of_node_before(self, delivery: Delivery) -> None:
        from .wire.payloads import Older, read

        try:
            told = read(Older, delivery.payload)
        except Refused:
            self.ignored += 1
            delivery.acknowledge()
            return
        node = self.registry.meet(told.client_id)
        if node is None or not self._serves(told.client_id):
            delivery.acknowledge()
        else:
            self._take(node, "older", delivery)

    # What others need of it.

    def talk(self, node: Node) -> Conversation:
        """The conversation of a node that this host serves."""
        found = self._talks.get(node.id)
        if found is None:
            found = self._talks[node.id] = Conversation(self, node)
        return found

    async def drop_talk(self, node_id: str) -> None:
        """Begin anew with a node."""
        if (talk := self._talks.pop(node_id, None)) is not None:
            await talk.close()

    async def open(self, principal: Principal, sink: ReplySink, conversation: int | None) -> Session:
        """A session, in a conversation or in a new one. Raises `JotaError`."""
        return await self.sessions.open(
            principal, sink, door=self._section, conversation_id=conversation,
            new_conversation=conversation is None,
        )  # fmt: skip

    async def tell(
        self, topic: str, payload: bytes, *, qos: int = 0, correlation: bytes | None = None
    ) -> None:
        """Publish; what matters waits for the broker when that is away."""
        if await self._link.publish(topic, payload, qos=qos, correlation=correlation) or not qos:
            return
        self._owed.append((topic.removeprefix(NODES).partition("/")[0], topic, payload, correlation))

    async def keep(self, topic: str, payload: bytes) -> None:
        """Publish something that the broker keeps; nothing forgets it."""
        await self._link.publish(topic, payload, qos=1, retain=True)

    async def command(self, node_id: str, verb: str, body: object) -> None:
        """`cmd/<verb>`, never kept, worth nothing after ten seconds."""
        payload = body if isinstance(body, bytes) else orjson.dumps(body)
        await self._link.publish(of_node(node_id, "cmd", verb), payload, qos=1, expires_s=COMMAND_S)

    async def ask_owner(self, node_id: str, kind: str, body: dict[str, Any]) -> None:
        """A request to whichever host serves the node."""
        await self._link.publish(of_node(node_id, "req", kind), orjson.dumps(body), qos=1)

    def tell_state(self, node: Node, state: dict[str, Any]) -> None:
        """`state`, for nodes that do not tell it themselves."""
        node.seen.state = state
        self.tasks.start("state", self.keep(of_node(node.id, "state"), orjson.dumps(state)))

    async def _tell_owner(self, node_id: str) -> None:
        owner = self.ownership.claim(node_id)
        await self.keep(of_node(node_id, "owner"), owner.model_dump_json().encode())

    async def _claimed(self, node_id: str) -> None:
        await self._tell_owner(node_id)
        if (node := self.registry.get(node_id)) is not None and node.known.is_approved:
            await self.discovery.announce(node)

    async def decided(self, node: Node) -> None:
        """People decided something about a node: other hosts and Home Assistant hear of it."""
        await self._link.publish(of_host(self.host, "node"), node.id, qos=1)
        await self._decided(node)

    async def _decided(self, node: Node) -> None:
        if not node.known.is_approved:
            await self.drop_talk(node.id)
        elif self._serves(node.id) and node.known.rev:
            config = {"rev": node.known.rev, **node.known.config}
            await self.keep(of_node(node.id, "config"), orjson.dumps(config))
        await self.discovery.announce(node)
