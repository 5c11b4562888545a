"""Who is connected: counted, limited, and kept awake by one timer for all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jota_core.api import ReminderDue

    from .ws.wire import Wire

STEP_S = 1.0


class Census:
    """Every open connection of one door."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.http = 0
        """Connections that speak HTTP."""
        self.wires: set[Wire] = set()
        """Connections that have become WebSockets."""
        self._unsent: list[Wire] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._everyone_left: asyncio.Event | None = None

    @property
    def is_full(self) -> bool:
        """Whether the next connection is one too many."""
        return self.http + len(self.wires) >= self.limit

    def flush_soon(self, wire: Wire) -> None:
        """Flush a wire when this pass of the event loop is over; one callback serves all wires."""
        if not self._unsent:
            if self._loop is None:  # asked once: each time costs Python 3.11 a system call
                self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._flush)
        self._unsent.append(wire)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        for wire in unsent:
            wire.flush()

    def joined(self, wire: Wire) -> None:
        """A connection has become a WebSocket."""
        self.wires.add(wire)

    def remind(self, due: ReminderDue) -> None:
        """Tell every WebSocket that a reminder's time has come."""
        for wire in list(self.wires):
            wire.remind(due)

    def left(self, wire: Wire) -> None:
        """A WebSocket is closed."""
        self.wires.discard(wire)
        if not self.wires and self._everyone_left is not None:
            self._everyone_left.set()

    async def everyone_left(self, limit_s: float) -> None:
        """Wait until the last WebSocket is closed; those still open after the limit are cut."""
        self._everyone_left = asyncio.Event()
        if not self.wires:
            return
        try:
            async with asyncio.timeout(limit_s):
                await self._everyone_left.wait()
        except TimeoutError:
            for wire in list(self.wires):
                wire.cut()
            await asyncio.sleep(0)

    async def keep_alive(self, heartbeat_s: float) -> None:
        """Visit every wire once per heartbeat, a few each second; runs until cancelled.

        One pass over all costs less than ten thousand timers, and spreads the pings.
        """
        while True:
            round_of_visits = list(self.wires)
            steps = max(1, round(heartbeat_s / STEP_S))
            for step in range(steps):
                for wire in round_of_visits[step::steps]:
                    if wire in self.wires:
                        wire.heartbeat()
                await asyncio.sleep(heartbeat_s / steps)
