"""The line between a worker and the manager: facts for users of other workers, and the manager's end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import orjson

from jota_core.api import ReminderDue

REMEMBERED = 1000


class Line:
    """This worker's end: standard input and output, one JSON object a line."""

    def __init__(self, publish: Callable[[ReminderDue], None]) -> None:
        self._publish = publish
        self._told: OrderedDict[tuple[str, datetime], None] = OrderedDict()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen; when the manager is gone, this process ends as by SIGTERM."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        listening = loop.create_task(self._listen(reader), name="manager")
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            transport.close()

    def ready(self) -> None:
        """This worker has tried everything once."""
        _write({"ready": True})

    def remind(self, due: ReminderDue) -> None:
        """A reminder fired here: users of other workers are to hear of it."""
        if self._is_new(due):
            _write({"reminder": due})

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while text := await reader.readline():
            told: dict[str, Any] = orjson.loads(text)["reminder"]
            due = ReminderDue(**{**told, "at": datetime.fromisoformat(told["at"])})
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


def _write(told: dict[str, Any]) -> None:
    """Short lines into a pipe that the manager always reads: this does not block."""
    os.write(sys.stdout.fileno(), orjson.dumps(told) + b"\n")
