"""Places in the engine: who may generate, who waits, and which slot knows which conversation.

llama.cpp keeps the evaluated prompt of a slot, so a conversation should come back to its own. One that
has no slot (any more) lets llama.cpp choose the idle one that was used longest ago; what that one
knew goes to the cache in memory, from where the engine takes it when it is wanted again.
"""

from __future__ import annotations

import asyncio
from collections import deque

from jota_core.api import BackendError, Code


class Place:
    """One generation's right to run. Wait for it, use it, and leave it whatever happens."""

    __slots__ = ("_slots", "_turn", "conversation", "slot")

    def __init__(self, slots: Slots, conversation: str, turn: asyncio.Future[None]) -> None:
        self.conversation = conversation
        self.slot: int | None = None
        """The slot to ask for; None leaves the choice to the engine."""
        self._slots = slots
        self._turn = turn

    async def wait(self, limit_s: float) -> bool:
        """Wait in line; False when the limit came first, with the place in the line kept."""
        await asyncio.wait({self._turn}, timeout=limit_s)
        if self._turn.done() and self.slot is None:
            self.slot = self._slots.own(self.conversation)
        return self._turn.done()

    def found_in(self, slot: int) -> None:
        """The engine chose this slot."""
        self.slot = slot
        self._slots.take(self.conversation, slot)

    def leave(self) -> None:
        """Let the next one in."""
        self._slots.free(self, self._turn)


class Slots:
    """A fair line before a fixed number of slots; background work waits until nobody else does."""

    def __init__(self, count: int, waiting: int) -> None:
        self.claiming = asyncio.Lock()
        """Held while a generation is finding out which slot the engine chose for it."""
        self.busy: set[int] = set()
        self.running = 0
        """Generations that have a slot."""
        self._count = count
        self._limit = waiting
        self._line: deque[asyncio.Future[None]] = deque()
        self._later: deque[asyncio.Future[None]] = deque()
        self._owners: dict[int, str] = {}

    @property
    def waiting(self) -> int:
        """Generations that wait for a slot."""
        return len(self._line) + len(self._later)

    def enter(self, conversation: str, *, background: bool = False) -> Place:
        """Stand in line. Raises `BackendError` (`engine_busy`) when the line is full."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.running < self._count:
            self.running += 1
            turn.set_result(None)
        elif (waiting := self.waiting) >= self._limit:
            raise BackendError(
                Code.ENGINE_BUSY,
                f"The model answers {self._count} others, and {waiting} wait already. Try again soon.",
                retry_after_s=5.0,
            )
        else:
            (self._later if background else self._line).append(turn)
        return Place(self, conversation, turn)

    def own(self, conversation: str) -> int | None:
        """Mark the conversation's own slot as busy and return it; None when it has none that is free."""
        for slot, owner in self._owners.items():
            if owner == conversation and slot not in self.busy:
                self.busy.add(slot)
                return slot
        return None

    def take(self, conversation: str, slot: int) -> None:
        """A slot now knows this conversation and no other."""
        self.busy.add(slot)
        self._owners = {place: owner for place, owner in self._owners.items() if owner != conversation}
        self._owners[slot] = conversation

    def free(self, place: Place, turn: asyncio.Future[None]) -> None:
        """A generation ended, or gave up waiting."""
        if place.slot is not None:
            self.busy.discard(place.slot)
            place.slot = None
        if not turn.done():
            turn.cancel()
            (self._line if turn in self._line else self._later).remove(turn)
            return
        if turn.cancelled():
            return
        while line := self._line or self._later:
            next_one = line.popleft()
            if not next_one.done():
                next_one.set_result(None)
                return
        self.running -= 1
