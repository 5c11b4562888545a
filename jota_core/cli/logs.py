"""The log: lines for people or for programs, on standard error. Prompts and answers are never in it."""

from __future__ import annotations

import logging
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote

import orjson

from jota_core.api import turn_under_way

CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127) if code not in (9, 10)}
"""Control characters are written out, so that no value can forge or repaint a line."""


SHORTEST_SECRET = 6
"""What is shorter is no secret, and would be found in innocent words."""


class Redacted(logging.Formatter, ABC):
    """Puts `[secret]` for every secret of the configuration, whoever has written it."""

    def __init__(self, secrets: Collection[str] = (), worker: int | None = None) -> None:
        super().__init__()
        self.worker = worker
        """Which of several processes writes; None for the only one."""
        known = [each for each in secrets if len(each) >= SHORTEST_SECRET]
        spelt = [form for each in known for form in (each, quote(each, safe=""))]
        longest_first = sorted(spelt, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if spelt else None

    def format(self, record: logging.LogRecord) -> str:
        """The line, without secrets."""
        line = self.written(record)
        return self._secrets.sub("[secret]", line) if self._secrets else line

    @abstractmethod
    def written(self, record: logging.LogRecord) -> str:
        """The line as it is."""


class ConsoleFormatter(Redacted):
    """`06:30:00 warning jota.app: sentence [turn]`."""

    def written(self, record: logging.LogRecord) -> str:
        message = record.getMessage().translate(CONTROL).replace("\n", "\\n")
        clock = f"{datetime.fromtimestamp(record.created):%H:%M:%S}"
        turn = f" [{found}]" if (found := turn_under_way.get()) else ""
        worker = f"#{self.worker} " if self.worker else ""
        line = f"{clock} {record.levelname.lower():7} {worker}{record.name}: {message}{turn}"
        trace = f"\n{self.formatException(record.exc_info).translate(CONTROL)}" if record.exc_info else ""
        return line + trace


class JsonFormatter(Redacted):
    """One JSON object a line: `time`, `level`, `logger`, `message`, `turn`, `worker`, `exception`."""

    def written(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if turn := turn_under_way.get():
            entry["turn"] = turn
        if self.worker:
            entry["worker"] = str(self.worker)
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(entry).decode()


def configure(
    level: str,
    style: Literal["console", "json"],
    secrets: Collection[str] = (),
    *,
    worker: int | None = None,
) -> None:
    """Send all logging of the process to standard error, without these secrets."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = JsonFormatter if style == "json" else ConsoleFormatter
    handler.setFormatter(formatter(secrets, worker))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("aiosqlite", "alembic", "aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
