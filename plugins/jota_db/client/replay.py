"""Brings what waits in the spool to the server, in order, each once; and knows whether it is there."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from jota_core.api import Code, MemoryStoreError

from .older import AnyWire
from .spool import Spool, Write
from .wire import Away

FIRST_S, MOST_S = 0.25, 2.0
MAY_PASS = (Code.UNAUTHORIZED, Code.FORBIDDEN, Code.BUSY)
"""Refusals that say nothing about the write: our key is wrong just now, or the server has too much to do."""


class Replay:
    """While `is_direct` writes go straight to the server; else they go into the spool."""

    def __init__(self, wire: AnyWire, spool: Spool, log: logging.Logger) -> None:
        self.is_direct = False
        self.trouble = "it has not been asked yet"
        self._wire = wire
        self._spool = spool
        self._log = log
        self._wake = asyncio.Event()
        self._soon = asyncio.Event()

    def lost(self, why: str) -> None:
        """A request failed: from now on the spool, until the server is back and has everything."""
        if self.is_direct:
            self._log.warning("%s Writes are kept here until it is back.", why)
        self.is_direct, self.trouble = False, why
        self._wake.set()

    async def keep(self) -> None:
        """Run until cancelled."""
        pause_s = FIRST_S
        while True:
            if self.is_direct:
                self._wake.clear()
                await self._wake.wait()
                pause_s = FIRST_S
            try:
                await self.drain()
            except MemoryStoreError as error:
                self.trouble = error.sentence
                await self._pause(pause_s)
                pause_s = min(pause_s * 2, MOST_S)

    def soon(self) -> None:
        """The server may be there: do not wait for the next try."""
        self._soon.set()

    async def _pause(self, seconds: float) -> None:
        self._soon.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._soon.wait()

    async def drain(self) -> None:
        """Bring everything that waits; then it is direct again. Raises `Away` or `MemoryStoreError`."""
        count = self._spool.count
        await self._wire.greet()
        while writes := await self._spool.page():
            for write in writes:
                await self._bring(write)
        for instance in self._spool.earlier:  # what ran then is over, now that all of it is told
            await self._wire.ask("POST", "/turns/left", {"instance": instance})
            await self._spool.told_of(instance)
        if not self.is_direct:
            self._log.info("JotaDB is there%s.", f"; {count} writes that waited are in it" if count else "")
        self.is_direct, self.trouble = True, ""

    async def _bring(self, write: Write) -> None:
        try:
            await self._wire.ask(write.method, write.path, write.body, owner=write.owner)
        except Away:
            raise
        except MemoryStoreError as error:
            if error.code in MAY_PASS:
                raise
            self._log.error("A write that waited is refused and kept aside: %s", error.sentence)
            await self._spool.done(write, error.sentence)
        else:
            await self._spool.done(write)
