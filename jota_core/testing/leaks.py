"""Leak checks: what a test has opened and not closed, by name."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE_S = 2.0
"""What is on its way out (a closing thread, a child being reaped) has this long to go."""
OPEN_FILES = Path("/dev/fd")
IGNORED_FILES = ("/dev/", "/proc/", "/sys/")
IGNORED_SUFFIXES = (".py", ".pyc", ".so", ".log")


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that somebody has to give back."""

    kind: str
    name: str
    key: object

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def held_by_process() -> set[Held]:
    """Threads, child processes, open files and sockets of this process."""
    return {*_threads(), *_children(), *_files()}


def held_by_loop(loop: asyncio.AbstractEventLoop) -> set[Held]:
    """Unfinished tasks and armed timers of a loop, without the task that asks."""
    return {*_tasks(loop), *_timers(loop)}


def left_behind(before: set[Held], look: Callable[[], set[Held]]) -> list[str]:
    """What is there now and was not `before`, once it has had time to go."""
    end = time.monotonic() + PATIENCE_S
    while (left := look() - before) and time.monotonic() < end:
        gc.collect()
        time.sleep(0.01)
    return sorted(map(str, left))


async def left_in_loop(before: set[Held]) -> list[str]:
    """The same for the running loop."""
    loop = asyncio.get_running_loop()
    end = time.monotonic() + PATIENCE_S
    while (left := held_by_loop(loop) - before) and time.monotonic() < end:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)
    return sorted(map(str, left))


def _threads() -> Iterator[Held]:
    for thread in threading.enumerate():
        yield Held("thread", repr(thread.name), thread)


def _children() -> Iterator[Held]:
    import psutil

    for child in psutil.Process().children(recursive=True):
        try:
            yield Held("child process", f"{child.pid} ({' '.join(child.cmdline())[:120]})", child.pid)
        except psutil.Error:
            continue  # gone while we looked


def _files() -> Iterator[Held]:
    for number in OPEN_FILES.iterdir() if OPEN_FILES.is_dir() else ():
        try:
            target = str(number.readlink())
        except OSError:
            continue  # the descriptor with which the folder was read
        if not target.startswith(IGNORED_FILES) and not target.endswith(IGNORED_SUFFIXES):
            yield Held("open file", f"{number.name} ({target})", (number.name, target))


def _tasks(loop: asyncio.AbstractEventLoop) -> Iterator[Held]:
    for task in asyncio.all_tasks(loop):
        if task is not asyncio.current_task(loop):
            yield Held("task", f"{task.get_name()!r} ({_where(task)})", task)


def _where(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=1)
    name = getattr(task.get_coro(), "__qualname__", "?")
    return f"{name}, {Path(frames[-1].f_code.co_filename).name}:{frames[-1].f_lineno}" if frames else name


def _timers(loop: asyncio.AbstractEventLoop) -> Iterator[Held]:
    # Only asyncio's own loop tells its timers, in an attribute that is private but has not changed in years.
    for timer in getattr(loop, "_scheduled", ()):
        if not timer.cancelled():
            yield Held("timer", repr(getattr(timer, "_callback", timer)), timer)
