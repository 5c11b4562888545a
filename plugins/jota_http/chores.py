"""Short work of the door that nobody waits for: owned, logged when it fails, ended with the door."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .ws.wire import Wire

log = logging.getLogger(__name__)


class Talk(Protocol):
    """Whoever is owed answers over a wire."""

    wire: Wire

    @property
    def is_idle(self) -> bool:
        """Whether no answer is owed."""


class Chores:
    """Tasks of one door, and what happens to a chat when its last turn has ended."""

    def __init__(self) -> None:
        self.draining = False
        """Whether idle chats are sent away."""
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` to its end; failures are logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("Something failed behind an app's back.", exc_info=error)

    def turn_ended(self, chat: Talk) -> None:
        """A chat owes one answer less."""
        if self.draining and chat.is_idle:
            chat.wire.close(1001, "server_restart")

    async def close(self, limit_s: float) -> None:
        """Let everything end within the limit; cancel what does not."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=limit_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
