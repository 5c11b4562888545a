"""A worker's end of the line to the manager: facts for users of other workers, and the manager's end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import orjson

from jota_core.api import ReminderDue

REMEMBERED = 1000
LONGEST = 8 * 1024 * 1024
"""Bytes of a line; the longest reminder, with everything in it escaped, has six million."""
READY = "ready"
REMINDER = "reminder"
log = logging.getLogger("jota.workers")


def taken() -> tuple[int, int]:
    """The line's two ends, which came as standard input and output.

    From then on those are nothing and standard error: what a plugin or its child prints is no fact.
    """
    ends = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return ends


class Line:
    """One JSON object a line, over the two ends that `taken` gave."""

    def __init__(self, ends: tuple[int, int], publish: Callable[[ReminderDue], None]) -> None:
        self._ends = ends
        self._publish = publish
        self._told: OrderedDict[tuple[str, datetime], None] = OrderedDict()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen; when the manager is gone, this process ends as by SIGTERM."""
        loop = asyncio.get_running_loop()
        reader, end = asyncio.StreamReader(LONGEST), os.fdopen(self._ends[0], "rb")
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), end)
        listening = loop.create_task(self._listen(reader), name="manager")
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            transport.close()

    def ready(self) -> None:
        """This worker has tried everything once."""
        self._tell(READY, True)

    def remind(self, due: ReminderDue) -> None:
        """A reminder fired here: users of other workers are to hear of it."""
        if self._is_new(due):
            self._tell(REMINDER, due)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while text := await reader.readline():
            try:
                told: dict[str, Any] = orjson.loads(text)[REMINDER]
                due = ReminderDue(**{**told, "at": datetime.fromisoformat(told["at"])})
            except (ValueError, KeyError, TypeError):
                log.warning(
                    "The manager told something that this worker does not understand; it is left out."
                )
                continue
            if self._is_new(due):
                self._publish(due)
        os.kill(os.getpid(), signal.SIGTERM)

    def _is_new(self, due: ReminderDue) -> bool:
        key = (due.reminder_id, due.at)
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return True

    def _tell(self, what: str, value: object) -> None:
        """The manager always reads, so this does not block; when it is gone, the other end tells so."""
        left = memoryview(orjson.dumps({what: value}) + b"\n")
        with suppress(BrokenPipeError):
            while left:
                left = left[os.write(self._ends[1], left) :]
