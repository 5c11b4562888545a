"""The log: lines for people or for programs, on standard error. Prompts and answers are never in it."""

from __future__ import annotations

import logging
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import orjson

from jota_core.api import section_at_work, turn_under_way
from jota_core.config import Redaction

CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127) if code not in (9, 10)}
"""Control characters are written out, so that no value can forge or repaint a line."""
SECTION = "jota."
"""What the name of a section's own logger begins with."""
log = logging.getLogger("jota")


class Redacted(logging.Formatter, ABC):
    """Puts `[secret]` for every secret of the configuration, whoever has written it."""

    def __init__(self, secrets: Collection[str] = (), worker: int | None = None) -> None:
        super().__init__()
        self.worker = worker
        """Which of several processes writes; None for the only one."""
        self._clean = Redaction(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """The line, without secrets."""
        trace = self._clean(self.formatException(record.exc_info)) if record.exc_info else ""
        return self.written(record, self._clean(_message(record)), trace)

    @abstractmethod
    def written(self, record: logging.LogRecord, message: str, trace: str) -> str:
        """The line; message and trace hold no secrets."""


class ConsoleFormatter(Redacted):
    """`06:30:00 warning jota.app: sentence [turn, section]`."""

    def written(self, record: logging.LogRecord, message: str, trace: str) -> str:
        message = message.translate(CONTROL).replace("\n", "\\n")
        clock = f"{datetime.fromtimestamp(record.created):%H:%M:%S}"
        turn, section = turn_under_way.get(), _section(record)
        if turn:
            message += f" [{turn}, {section}]" if section else f" [{turn}]"
        worker = f"#{self.worker} " if self.worker else ""
        line = f"{clock} {record.levelname.lower():7} {worker}{record.name}: {message}"
        return f"{line}\n{trace.translate(CONTROL)}" if trace else line


class JsonFormatter(Redacted):
    """One JSON object a line, without the members that are empty."""

    def written(self, record: logging.LogRecord, message: str, trace: str) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "section": _section(record),
            "message": message,
            "turn": turn_under_way.get(),
            "worker": str(self.worker or ""),
            "exception": trace,
        }
        return orjson.dumps({name: _text(value) for name, value in entry.items() if value}).decode()


class Lines(logging.StreamHandler):  # type: ignore[type-arg]  # the argument is not there at run time
    """Writes to standard error; what cannot be written is left out, without the traceback of Python's own."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - Python's name
        """Nothing: there is nowhere left to say it."""


def configure(
    level: str,
    style: Literal["console", "json"],
    secrets: Collection[str] = (),
    *,
    worker: int | None = None,
) -> None:
    """Send all logging of the process to standard error, without these secrets."""
    handler = Lines(sys.stderr)
    formatter = JsonFormatter if style == "json" else ConsoleFormatter
    handler.setFormatter(formatter(secrets, worker))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("aiosqlite", "alembic", "aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_failed
    sys.unraisablehook = _unraisable


def _thread_failed(told: threading.ExceptHookArgs) -> None:
    """What Python would print as it is."""
    if told.exc_value is not None and not isinstance(told.exc_value, SystemExit):
        name = told.thread.name if told.thread else "nobody knows"
        log.error("Thread %s failed.", name, exc_info=told.exc_value)


def _unraisable(told: sys.UnraisableHookArgs) -> None:
    """The same for what fails while an object is thrown away."""
    log.error("%s: %r", told.err_msg or "Ignored", told.object, exc_info=told.exc_value)


def _message(record: logging.LogRecord) -> str:
    """What a line says; one whose values do not fit its text says that."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - whatever somebody's value raises when it is shown
        place = f"{Path(record.pathname).name}:{record.lineno}"
        return f"A log line of {place} cannot be written ({type(error).__name__}): {record.msg!r}"


def _section(record: logging.LogRecord) -> str:
    """Whose line it is: the section that a logger is named for, else the one whose code runs."""
    if record.name.startswith(SECTION):
        return record.name.removeprefix(SECTION)
    return section_at_work.get()


def _text(value: str) -> str:
    """Without half surrogate pairs, which JSON cannot hold."""
    return value.encode("utf-8", "backslashreplace").decode()
