"""A node's mouth: sound in frames, never more than half a second ahead of what is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..wire.frames import Frame

AHEAD_S = 0.5
MOST_FRAME_BYTES = 4000


class Mouth:
    """Paces the sound of one node; `send` publishes a frame."""

    def __init__(self, send: Callable[[bytes], Awaitable[object]], frame_ms: int) -> None:
        self._send = send
        self.frame_ms = frame_ms
        self._turn = -1
        self._seq = 0
        self._plays_until = 0.0
        self._hushed: int | None = None
        self._rest = b""

    async def say(self, turn: int, sound: bytes, rate: int) -> None:
        """More sound of a turn; returns when the node has it. Nothing of a turn that was hushed."""
        if turn != self._turn:
            self._turn, self._seq, self._hushed, self._rest = turn, 0, None, b""
        size = min(rate * self.frame_ms // 1000 * 2, MOST_FRAME_BYTES)
        self._rest += sound
        while len(self._rest) >= size and self._hushed != turn:
            piece, self._rest = self._rest[:size], self._rest[size:]
            await self._wait(len(piece) / 2 / rate)
            await self._frame(turn, piece)

    async def end(self, turn: int) -> None:
        """The last sound of a turn."""
        if turn == self._turn and self._seq and self._hushed != turn:
            rest, self._rest = self._rest, b""
            await self._frame(turn, rest, is_end=True)

    def hush(self) -> None:
        """Say no more of what is being said."""
        self._hushed, self._rest = self._turn, b""
        self._plays_until = 0.0

    async def _frame(self, turn: int, piece: bytes, *, is_end: bool = False) -> None:
        is_start, seq = self._seq == 0, self._seq
        self._seq += 1
        await self._send(Frame(turn, seq, piece, is_start=is_start, is_end=is_end).packed())

    async def _wait(self, seconds: float) -> None:
        """Until a piece that plays so long may go."""
        now = asyncio.get_running_loop().time()
        self._plays_until = max(self._plays_until, now) + seconds
        ahead = self._plays_until - now - AHEAD_S
        if ahead > 0:
            await asyncio.sleep(ahead)
