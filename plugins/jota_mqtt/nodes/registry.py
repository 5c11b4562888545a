"""The registry of nodes: kept in the memory, so that every host on it knows the same ones."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jota_core.api import Code, MemoryStore, MemoryStoreError, Record, Refused

from ..wire.topics import NODE_ID
from .node import Known, Node, Seen

NODES, STATES = "nodes", "node-states"
CODE_S = 300.0
"""A pairing code is good for so long."""
TRIES = 5
AGAIN_S = 1.0
MOST_AT_ONCE = 200
"""Observations that are kept in one go."""


class Registry:
    """Nodes by id; bounded. What people decide is written at once, what is seen every few seconds."""

    def __init__(self, memory: Callable[[], MemoryStore], most: int) -> None:
        self._memory = memory
        self._most = most
        self._nodes: dict[str, Node] = {}
        self._strangers: dict[str, None] = {}
        self._gone: list[str] = []
        self._refreshing = asyncio.Lock()
        self._refreshed_at = float("-inf")
        self.is_loaded = False
        self.trouble = "The nodes are not known yet."
        """Why they are not known."""
        self.read = asyncio.Event()
        """They are known, or never will be."""

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, id_: str) -> Node | None:
        """The node, where it is known."""
        return self._nodes.get(id_)

    def meet(self, id_: str) -> Node | None:
        """The node, known or new; None when there is no room. A stranger makes room for a newer one."""
        found = self._nodes.get(id_)
        if found is None and (len(self._nodes) < self._most or self._make_room()):
            found = self._nodes[id_] = Node(id_)
            self._strangers[id_] = None
        return found

    def _make_room(self) -> bool:
        while self._strangers:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            node = self._nodes.get(oldest)
            if node is not None and not node.known.is_approved:
                del self._nodes[oldest]
                self._gone.append(oldest)
                return True
        return False

    def named(self, id_: str) -> Node:
        """Raises `Refused` (`not_found`)."""
        found = self._nodes.get(id_)
        if found is None:
            raise Refused(Code.NOT_FOUND, f"There is no node {id_[:64]!r}; `jota nodes list` shows all.")
        return found

    async def load(self) -> None:
        """Everything that is kept, tried until the memory is there."""
        while not self.is_loaded:
            try:
                await self._load()
            except MemoryStoreError as error:
                self.trouble = f"The nodes are not known: {error.sentence}"
                if error.code is Code.UNSUPPORTED:
                    break
                await asyncio.sleep(AGAIN_S)
        self.read.set()

    async def _load(self) -> None:
        await self.refresh()
        for record in await self._memory().records(STATES):
            seen, node = Seen.of(record.value), self._nodes.get(record.key)
            if node is None and seen.code_until < time.time():
                self._gone.append(record.key)  # a stranger whose code died
            elif (node := self.meet(record.key)) is not None and not node.seen.last_seen:
                node.seen = seen
        self.is_loaded, self.trouble = True, ""

    async def refresh(self, since: float | None = None) -> None:
        """What people decided at another host, unless it was read after the moment `since` (monotonic).

        Raises `MemoryStoreError`.
        """
        async with self._refreshing:
            if since is not None and self._refreshed_at >= since:
                return
            began = time.monotonic()
            self._take_kept({record.key: record for record in await self._memory().records(NODES)})
            self._refreshed_at = began

    def _take_kept(self, kept: Mapping[str, Record]) -> None:
        for key in {*kept, *self._nodes}:
            if (node := self.meet(key)) is not None:
                _take(node, kept.get(key))

    async def observe(self, node: Node) -> None:
        """What another host saw of a node. Raises `MemoryStoreError`."""
        for record in await self._memory().records(STATES):
            if record.key == node.id:
                node.seen = Seen.of(record.value)

    async def decide(self, node: Node, change: Callable[[Known], None]) -> None:
        """Keep a change, whoever else changes it. Raises what `change` raises, and `MemoryStoreError`."""
        for _ in range(TRIES):
            change(node.known)
            wanted = node.kept()
            found = await self._memory().save_record(NODES, node.id, wanted, version=node.version)
            _take(node, found)
            if found is not None and found.value == wanted:
                return
        raise Refused(Code.BUSY, f"Others change the node {node.id} all the time. Try again.", 1.0)

    async def forget(self, node: Node) -> None:
        """It is no node any more. Raises `MemoryStoreError`."""
        await self._memory().save_record(NODES, node.id, None)
        await self._memory().save_record(STATES, node.id, None)
        self._nodes.pop(node.id, None)
        _take(node, None)

    async def keep_seen(self, is_mine: Callable[[str], bool]) -> None:
        """Keep what was seen of nodes that this host serves. Raises `MemoryStoreError`."""
        changed = [
            node
            for node in self._nodes.values()
            if node.is_changed and node.known.is_approved and is_mine(node.id)
        ]
        for node in changed[:MOST_AT_ONCE]:
            node.is_changed = False
            await self._memory().save_record(STATES, node.id, node.observed())
        gone, self._gone = self._gone[:MOST_AT_ONCE], self._gone[MOST_AT_ONCE:]
        for node_id in gone:
            await self._memory().save_record(STATES, node_id, None)

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
        node.seen.code = None
        await self.decide(node, _approve)
        return node


def _approve(known: Known) -> None:
    known.is_approved = True


def _take(node: Node, record: Record | None) -> None:
    """What is kept of a node now."""
    node.known = Known() if record is None else Known.of(record.value)
    node.version = 0 if record is None else record.version


def _check_code(seen: Seen, code: str) -> None:
    if seen.code is None or seen.code_until < time.time():
        raise Refused(
            Code.FORBIDDEN, "The code has expired; let the node ask something and take its new one."
        )
    if not secrets.compare_digest(seen.code.encode(), code.replace(" ", "").encode("utf-8", "replace")):
        seen.code = None  # one try each: six digits are guessed otherwise
        raise Refused(Code.FORBIDDEN, "This is another code than the node's; let it ask for a new one.")


def changing(wishes: dict[str, Any]) -> Callable[[Known], None]:
    """Name, area, user or configuration, as people want them. What it gives raises `Refused`."""

    def change(known: Known) -> None:
        for name in ("name", "area", "user"):
            if name in wishes:
                setattr(known, name, _checked(name, wishes[name]))
        if "user" in wishes:
            known.conversation_id = None  # the old one is somebody else's
        if "config" in wishes:
            if not isinstance(wishes["config"], dict):
                raise Refused(Code.INVALID_REQUEST, "`config` is an object.")
            known.config, known.rev = wishes["config"], known.rev + 1

    return change


def _checked(name: str, value: object) -> object:
    if value is not None and not (isinstance(value, str) and 0 < len(value) <= 128):
        raise Refused(Code.INVALID_REQUEST, f"`{name}` is a text of at most 128 characters, or null.")
    return value
