"""Checkpoints: partial answers are kept once a second, off the token path."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from jota_core.api import MemoryStoreError, TaskOwner

from .parts import Limits

if TYPE_CHECKING:
    from .turn import Turn

log = logging.getLogger(__name__)


class Checkpoints:
    """One task for all running turns, so that a store can write them in one go."""

    def __init__(self, running: set[Turn], limits: Limits) -> None:
        self._running = running
        self._limits = limits
        self._written: WeakKeyDictionary[Turn, int] = WeakKeyDictionary()
        self._tasks = TaskOwner("checkpoints")
        self._failing = False

    def start(self) -> None:
        """Begin; ends with `close`."""
        self._tasks.start("every", self._forever())

    async def close(self) -> None:
        """Stop checkpointing."""
        await self._tasks.close(1.0)

    async def _forever(self) -> None:
        while True:
            await asyncio.sleep(self._limits.checkpoint_s)
            grown = [turn for turn in self._running if turn.answer.deltas > self._written.get(turn, 0)]
            results = await asyncio.gather(*(self._write(turn) for turn in grown))
            self._tell(all(results))

    async def _write(self, turn: Turn) -> bool:
        self._written[turn] = turn.answer.deltas
        try:
            async with asyncio.timeout(self._limits.store_timeout_s):
                await turn.checkpoint()
        except (MemoryStoreError, TimeoutError):
            return False
        except Exception:
            log.exception("The checkpoint of turn %s failed.", turn.id)
            return False
        return True

    def _tell(self, fine: bool) -> None:
        if fine is self._failing:
            log.log(
                logging.INFO if fine else logging.ERROR,
                "Partial answers are kept again."
                if fine
                else "Partial answers cannot be kept: the memory does not take them.",
            )
        self._failing = not fine
