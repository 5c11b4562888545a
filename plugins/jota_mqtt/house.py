"""All nodes of one host: what is known of them, their conversations, and the way out to them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Any

import orjson

from jota_core.api import (
    MemoryStoreError,
    PluginContext,
    Principal,
    ReplySink,
    Session,
    Sessions,
    TaskOwner,
)

from .broker.link import Link
from .mail import Mail
from .neighbours import Neighbours
from .nodes.discovery import Discovery
from .nodes.node import Node
from .nodes.registry import Registry
from .settings import MqttSettings
from .talk.conversation import Conversation
from .wire.topics import NODES, of_host, of_node

KEEP_S = 2.0
MOST_OWED = 1000
AFTER_CONNECT_S = 5.0
"""For so long after a connection the broker may bring again what we had not acknowledged."""
COMMAND_S = 10


class House:
    """What this host knows and does; `run` until cancelled."""

    def __init__(self, settings: MqttSettings, sessions: Sessions, ctx: PluginContext, host: str) -> None:
        self.settings = settings
        self.sessions = sessions
        self.host = host
        self.log = ctx.log
        self.tasks = TaskOwner("nodes")
        self.registry = Registry(lambda: sessions.memory, settings.max_nodes)
        self.discovery = Discovery(self, settings.home_assistant_prefix)
        self.neighbours = Neighbours(self, self._settled)
        self.mail = Mail(self)
        self.neighbours.replay_to(self.mail.receive)
        self.ignored = 0
        """Messages that were none for us."""
        self._ctx = ctx
        self._link: Link
        self._talks: dict[str, Conversation] = {}
        self._owed: deque[tuple[str, str, bytes, bytes | None]] = deque(maxlen=MOST_OWED)
        self._connected_at = 0.0

    @property
    def may_be_repeated(self) -> bool:
        """Whether a request without an id may be one that was answered before."""
        return monotonic() - self._connected_at < AFTER_CONNECT_S

    @property
    def trouble(self) -> str:
        """Why nodes are not served now."""
        return self._link.trouble or self.registry.trouble

    @property
    def is_reached(self) -> bool:
        """Whether the broker hears us; if so, it is not what is in the way."""
        return not self._link.trouble

    def is_mine(self, node_id: str) -> bool:
        """Whether this host serves a node."""
        return self.neighbours.ownership.is_mine(node_id)

    # Its life.

    async def run(self, link: Link) -> None:
        """Serve over this line. Raises `AuthFailed`."""
        self._link = link
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(link.run(self._opened, self.mail.receive, self.neighbours.lost))
                group.create_task(self.neighbours.beat())
                group.create_task(self._keep_seen())
                group.create_task(self.registry.load())
        except ExceptionGroup as group:
            raise group.exceptions[0] from None  # `AuthFailed` means what it says
        finally:
            await self._close()

    def _opened(self) -> None:
        self._connected_at = monotonic()
        self.neighbours.opened()
        self._ctx.ready()

    def _settled(self) -> None:
        self.tasks.start("owed", self._tell_owed())

    async def _tell_owed(self) -> None:
        """What the broker missed while it was away."""
        owed, self._owed = self._owed, deque(maxlen=MOST_OWED)
        for node_id, topic, payload, correlation in owed:
            if self.is_mine(node_id):
                await self.tell(topic, payload, qos=1, correlation=correlation)
        await self.discovery.announce_all()

    async def _keep_seen(self) -> None:
        while True:
            await asyncio.sleep(KEEP_S)
            with contextlib.suppress(MemoryStoreError):  # told by the memory's own health; kept next time
                await self.registry.keep_seen(self.is_mine)

    async def _close(self) -> None:
        talks, self._talks = list(self._talks.values()), {}
        await asyncio.gather(*(talk.close() for talk in talks))
        await self.tasks.close()

    # Conversations.

    def talk(self, node: Node) -> Conversation:
        """The conversation of a node that this host serves."""
        found = self._talks.get(node.id)
        if found is None:
            found = self._talks[node.id] = Conversation(self, node)
        return found

    async def drop_talk(self, node_id: str) -> None:
        """Begin anew with a node, or leave it to another host."""
        if (talk := self._talks.pop(node_id, None)) is not None:
            await talk.close()

    async def met(self, node: Node) -> None:
        """A node says what it is now: a new microphone, a loudspeaker, another name."""
        if (talk := self._talks.get(node.id)) is not None:
            talk.follow_info()
        await self.discovery.announce(node)

    async def open(self, principal: Principal, sink: ReplySink, conversation: int | None) -> Session:
        """A session, in a conversation or in a new one. Raises `JotaError`."""
        return await self.sessions.open(
            principal, sink, door=self._ctx.section, conversation_id=conversation,
            new_conversation=conversation is None,
        )  # fmt: skip

    # What people decide.

    async def decided(self, node: Node) -> None:
        """People decided something about a node: other hosts and Home Assistant hear of it."""
        await self.publish(of_host(self.host, "node"), node.id.encode())
        await self._follow(node)

    async def refresh(self, node_id: str) -> None:
        """People decided something at another host."""
        with contextlib.suppress(MemoryStoreError):  # read again before the node's next request
            await self.registry.refresh()
        if (node := self.registry.get(node_id)) is not None:
            await self._follow(node)

    async def _follow(self, node: Node) -> None:
        if not node.known.is_approved:
            await self.drop_talk(node.id)
        elif self.neighbours.serves(node.id) and node.known.rev:
            config = {"rev": node.known.rev, **node.known.config}
            await self.keep(of_node(node.id, "config"), orjson.dumps(config))
        await self.discovery.announce(node)

    # The way out.

    async def tell(
        self, topic: str, payload: bytes, *, qos: int = 0, correlation: bytes | None = None
    ) -> None:
        """Publish; what matters waits for the broker when that is away."""
        if await self._link.publish(topic, payload, qos=qos, correlation=correlation) or not qos:
            return
        self._owed.append((topic.removeprefix(NODES).partition("/")[0], topic, payload, correlation))

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish for those who listen now."""
        await self._link.publish(topic, payload, qos=1)

    async def keep(self, topic: str, payload: bytes) -> None:
        """Publish something that the broker keeps; nothing forgets it."""
        await self._link.publish(topic, payload, qos=1, retain=True)

    async def command(self, node_id: str, verb: str, body: object) -> None:
        """`cmd/<verb>`, never kept, worth nothing after ten seconds."""
        payload = body if isinstance(body, bytes) else orjson.dumps(body)
        await self._link.publish(of_node(node_id, "cmd", verb), payload, qos=1, expires_s=COMMAND_S)

    async def ask_owner(self, node_id: str, kind: str, body: dict[str, Any]) -> None:
        """A request to whichever host serves the node."""
        await self.publish(of_node(node_id, "req", kind), orjson.dumps(body))

    def tell_state(self, node: Node, state: dict[str, Any]) -> None:
        """`state`, for nodes that do not tell it themselves."""
        node.seen.state = state
        self.tasks.start("state", self.keep(of_node(node.id, "state"), orjson.dumps(state)))

    async def subscribe(self, topics: Sequence[tuple[str, int]]) -> None:
        """Hear more, as long as this connection lasts."""
        await self._link.subscribe(topics)
