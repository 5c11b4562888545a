"""The registry of nodes: kept in the memory, so that every host on it knows the same ones."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

from jota_core.api import Code, MemoryStore, Refused

from ..wire.payloads import Info
from ..wire.topics import NODE_ID
from .node import Known, Node, Seen

NODES, STATES = "nodes", "node-states"
CODE_S = 300.0
"""A pairing code is good for so long."""
MOST_AT_ONCE = 200
"""Observations that are kept in one go."""


class Registry:
    """Nodes by id; bounded. What people decide is written at once, what is seen every few seconds."""

    def __init__(self, memory: Callable[[], MemoryStore], most: int) -> None:
        self._memory = memory
        self._most = most
        self._nodes: dict[str, Node] = {}
        self.is_loaded = False

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, id_: str) -> Node | None:
        """The node, where it is known."""
        return self._nodes.get(id_)

    def meet(self, id_: str) -> Node | None:
        """The node, known or new; None when there are too many."""
        found = self._nodes.get(id_)
        if found is None and len(self._nodes) < self._most:
            found = self._nodes[id_] = Node(id_)
        return found

    def named(self, id_: str) -> Node:
        """Raises `Refused` (`not_found`)."""
        found = self._nodes.get(id_)
        if found is None:
            raise Refused(Code.NOT_FOUND, f"There is no node {id_[:64]!r}; `jota nodes list` shows all.")
        return found

    async def load(self) -> None:
        """Everything that is kept. Raises `MemoryStoreError`."""
        memory = self._memory()
        for record in await memory.records(NODES):
            if (node := self.meet(record.key)) is not None:
                node.known, node.is_kept = Known.of(record.value), True
        for record in await memory.records(STATES):
            if (node := self.meet(record.key)) is not None and not node.seen.last_seen:
                self._restore(node, Seen.of(record.value))
        self.is_loaded = True

    def _restore(self, node: Node, seen: Seen) -> None:
        node.seen = seen
        node.info = Info.model_validate(seen.info)

    async def refresh(self) -> None:
        """What people decided at another host. Raises `MemoryStoreError`."""
        kept = {record.key: record.value for record in await self._memory().records(NODES)}
        for node in self._nodes.values():
            node.is_kept = node.id in kept
            node.known = Known.of(kept.get(node.id, {}))
        for key in kept.keys() - self._nodes.keys():
            if (node_ := self.meet(key)) is not None:
                node_.known, node_.is_kept = Known.of(kept[key]), True

    async def observe(self, node: Node) -> None:
        """What another host saw of a node. Raises `MemoryStoreError`."""
        for record in await self._memory().records(STATES):
            if record.key == node.id:
                self._restore(node, Seen.of(record.value))

    async def decide(self, node: Node) -> None:
        """Keep what people decided. Raises `MemoryStoreError`."""
        await self._memory().save_record(NODES, node.id, node.kept())
        node.is_kept = True

    async def forget(self, node: Node) -> None:
        """It is no node any more. Raises `MemoryStoreError`."""
        await self._memory().save_record(NODES, node.id, None)
        await self._memory().save_record(STATES, node.id, None)
        self._nodes.pop(node.id, None)

    async def keep_seen(self, is_mine: Callable[[str], bool]) -> None:
        """Keep what was seen of nodes that this host serves. Raises `MemoryStoreError`."""
        changed = [node for node in self._nodes.values() if node.is_changed and is_mine(node.id)]
        for node in changed[:MOST_AT_ONCE]:
            node.is_changed = False
            await self._memory().save_record(STATES, node.id, node.observed())

    async def pair(self, node: Node) -> str:
        """A code for a new node, the same one while it is good. Raises `MemoryStoreError`."""
        seen = node.seen
        if seen.code is None or seen.code_until < time.time():
            seen.code, seen.code_until = f"{secrets.randbelow(1_000_000):06d}", time.time() + CODE_S
            await self._memory().save_record(STATES, node.id, node.observed())
        return seen.code

    async def approve(self, id_: str, code: str | None) -> Node:
        """From now on it is served; one that never came may come. Raises `Refused`, `MemoryStoreError`."""
        if not NODE_ID.fullmatch(id_) or (node := self.meet(id_)) is None:
            raise Refused(Code.INVALID_REQUEST, "A node's id has 1 to 64 of a-z, 0-9 and -.")
        if code is not None:
            await self.observe(node)
            _check_code(node.seen, code)
        node.known.is_approved = True
        node.seen.code = None
        await self.decide(node)
        return node


def _check_code(seen: Seen, code: str) -> None:
    if seen.code is None or seen.code_until < time.time():
        raise Refused(
            Code.FORBIDDEN, "The code has expired; let the node ask something and take its new one."
        )
    if not secrets.compare_digest(seen.code.encode(), code.replace(" ", "").encode("utf-8", "replace")):
        seen.code = None  # one try each: six digits are guessed otherwise
        raise Refused(Code.FORBIDDEN, "This is another code than the node's; let it ask for a new one.")


def change(node: Node, wishes: dict[str, Any]) -> None:
    """Name, area, user or configuration, as people want them. Raises `Refused`."""
    known = node.known
    for name in ("name", "area", "user"):
        if name in wishes:
            value = wishes[name]
            if value is not None and not (isinstance(value, str) and 0 < len(value) <= 128):
                raise Refused(Code.INVALID_REQUEST, f"`{name}` is a text of at most 128 characters, or null.")
            setattr(known, name, value)
            if name == "user":
                known.conversation_id = None  # the old one is somebody else's
    if "config" in wishes:
        if not isinstance(wishes["config"], dict):
            raise Refused(Code.INVALID_REQUEST, "`config` is an object.")
        known.config, known.rev = wishes["config"], known.rev + 1
