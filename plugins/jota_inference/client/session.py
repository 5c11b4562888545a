"""One session at the center, and the frames of the answer that is under way in it."""

from __future__ import annotations

import asyncio

from .errors import LOST, WATCHDOG, Frame, text_of

MOST_FRAMES = 65_536
"""Frames that one reader may leave unread; at 200 tokens a second these are five minutes."""
OVERFLOW: Frame = {"op": "overflow"}


class FarSession:
    """Answers one prompt at a time; `begin` opens, and its `end` or `error` closes it."""

    __slots__ = (
        "_ended",
        "_fenced",
        "_frames",
        "_loop",
        "_reading",
        "_spoke",
        "_unfenced",
        "_waiter",
        "conversation",
        "id",
        "is_sound",
    )

    def __init__(self, session_id: str) -> None:
        self.id = session_id
        self.conversation: str | None = None
        """Whose prompt it knows."""
        self.is_sound = True
        """False once an error came: what the session is worth then, nobody knows."""
        self._frames: list[Frame] = []
        self._loop = asyncio.get_running_loop()  # asked once: each time costs Python 3.11 a system call
        self._waiter: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self._ended.set()
        self._reading = False
        self._fenced = self._unfenced = False
        self._spoke = False

    @property
    def has_ended(self) -> bool:
        """Whether the center has nothing to do in it."""
        return self._ended.is_set()

    def begin(self, *, fenced: bool) -> None:
        """A prompt is about to be sent; with `fenced` nothing counts before `context_set`."""
        self._frames = []
        self._ended.clear()
        self._fenced, self._unfenced = fenced, not fenced
        self._reading, self._spoke = True, False

    def context_set(self) -> None:
        """What comes from now on belongs to the new prompt."""
        self._fenced = False

    def leave(self) -> None:
        """Nobody reads any more; its end is still waited for."""
        self._reading = False
        self._frames = []

    def take(self, frame: Frame) -> bool:
        """One frame of this session; False when it belongs to no prompt that is under way."""
        op = frame.get("op")
        if self._ended.is_set() or (self._fenced and op != "error"):
            return False
        if op == "token":
            self._spoke = True
        elif op == "end" and self._unfenced and not self._spoke and _told_tokens(frame):
            return False  # without a fence: the end of an answer that was given before
        elif text_of(frame) != WATCHDOG:
            self._ended.set()
        self.is_sound &= op != "error"
        if self._reading:
            self._put(frame)
        return True

    def fail(self, frame: Frame, *, ends: bool) -> bool:
        """An error that named no session: may it be this prompt's? With `ends` it was not accepted at all."""
        if self._spoke and frame is not LOST:
            return False
        if ends:
            self._ended.set()
        if self._reading:
            self._put(frame)
        return True

    def lose(self) -> None:
        """The connection is gone."""
        self._ended.set()
        self._put(LOST)

    async def frames(self) -> list[Frame]:
        """What has come since the last call, at least one."""
        while not self._frames:
            self._waiter = self._loop.create_future()
            await self._waiter
        frames, self._frames = self._frames, []
        return frames

    async def ended(self, limit_s: float) -> bool:
        """Wait for the end; False when the limit came first."""
        try:
            async with asyncio.timeout(limit_s):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    def _put(self, frame: Frame) -> None:
        if len(self._frames) >= MOST_FRAMES:
            self._frames, self._reading = [OVERFLOW], False
        else:
            self._frames.append(frame)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _told_tokens(frame: Frame) -> bool:
    stats = frame.get("stats")
    return isinstance(stats, dict) and bool(stats.get("tokens"))
