"""Tasks with an owner: whoever starts one also ends it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from .trail import trail

log = logging.getLogger(__name__)


class TaskOwner:
    """Starts tasks, keeps them referenced, logs what they raise and ends them all on `close`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` as a task that belongs to this owner."""
        # A context of its own: what the task starts must not be taken for its caller's.
        task = asyncio.get_running_loop().create_task(work, name=f"{self._name}:{name}", context=trail())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("Task %s failed.", task.get_name(), exc_info=error)

    async def wait(self, limit_s: float) -> bool:
        """Wait until every task has ended by itself; False when the limit came first."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=limit_s)
        return not self._tasks

    async def close(self, limit_s: float = 5.0) -> None:
        """Cancel what still runs and wait for it; stragglers are named in the log."""
        for task in self._tasks:
            task.cancel()
        if not await self.wait(limit_s):
            log.warning("Did not end in %.0f s: %s.", limit_s, ", ".join(t.get_name() for t in self._tasks))
