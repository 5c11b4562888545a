"""The log: lines for people or for programs, on standard error. Prompts and answers are never in it."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Literal

import orjson

CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127) if code not in (9, 10)}
"""Control characters are written out, so that no value can forge or repaint a line."""


class ConsoleFormatter(logging.Formatter):
    """`06:30:00 warning jota.app  sentence`."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage().translate(CONTROL).replace("\n", "\\n")
        clock = f"{datetime.fromtimestamp(record.created):%H:%M:%S}"
        line = f"{clock} {record.levelname.lower():7} {record.name}: {message}"
        trace = f"\n{self.formatException(record.exc_info).translate(CONTROL)}" if record.exc_info else ""
        return line + trace


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(entry).decode()


def configure(level: str, style: Literal["console", "json"]) -> None:
    """Send all logging of the process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else ConsoleFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("aiosqlite", "alembic", "aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
