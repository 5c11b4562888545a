"""Which section a task or a line of code belongs to: finds leaked tasks and blocked loops' culprits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Generator, Mapping, Sequence
from contextvars import Context
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from jota_core.api import Plugin

from .calls import current_section

log = logging.getLogger(__name__)

_OURS = "jota_core"


class Owners:
    """Tells from a stack whose code runs."""

    def __init__(self, plugins: Mapping[str, Plugin[Any]]) -> None:
        self._plugins = dict(plugins)
        self._packages: dict[str, list[str]] = {}
        for section, plugin in plugins.items():
            package = type(plugin).__module__.split(".")[0]
            self._packages.setdefault(package, []).append(section)

    def of(self, frame: FrameType) -> Sequence[str]:
        """The sections whose plugin this code belongs to."""
        return self._packages.get(_package(frame), ())

    def culprit(self, frame: FrameType | None) -> tuple[str | None, str]:
        """The section whose code is innermost on a stack (None: nobody's), and the line, as text."""
        innermost = frame
        while frame is not None:
            if _package(frame) == _OURS:
                break
            if sections := self.of(frame):
                return self._which(sections, frame), _place(frame)
            frame = frame.f_back
        return None, _place(innermost)

    def _which(self, sections: Sequence[str], frame: FrameType | None) -> str | None:
        """Of several sections of one plugin, the one whose object is at work."""
        if len(sections) == 1:
            return sections[0]
        while frame is not None:
            worker = frame.f_locals.get("self")
            for section in sections:
                if self._plugins[section] is worker:
                    return section
            frame = frame.f_back
        return None


class TaskTracker:
    """Remembers which section's code started a task; costs a weak reference for each new task."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners
        self._sections: WeakKeyDictionary[asyncio.Future[Any], str] = WeakKeyDictionary()

    def install(self) -> None:
        """Watch the tasks of the running loop from now on."""
        asyncio.get_running_loop().set_task_factory(self._make)

    def remove(self) -> None:
        """Stop watching."""
        asyncio.get_running_loop().set_task_factory(None)

    def _make(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        *,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context, **options)
        section = current_section.get() if context is None else context.get(current_section)
        if section is not None:
            self._sections[task] = section
        return task

    async def end_leaked(self, section: str, limit_s: float) -> list[str]:
        """Cancel what a stopped section left running; returns the names of those tasks."""
        leaked = [task for task, starter in self._sections.items() if self._owner(task, starter) == section]
        for task in leaked:
            task.cancel()
        if leaked:
            _, stubborn = await asyncio.wait(leaked, timeout=limit_s)
            for task in stubborn:
                log.warning("Task %s of section %s does not end.", _name(task), section)
        return [_name(task) for task in leaked]

    def _owner(self, task: asyncio.Future[Any], starter: str) -> str | None:
        """The section to clean up after; None for the core's own tasks.

        A turn runs in the context of the door that submitted it, and so does what a backend starts
        meanwhile: whose code it is tells more than who started it.
        """
        frame = getattr(_coroutine(task), "cr_frame", None)
        if task.done() or frame is None or _package(frame) == _OURS:
            return None
        sections = self._owners.of(frame)
        return starter if not sections or starter in sections else sections[0]


def _coroutine(task: asyncio.Future[Any]) -> object:
    return task.get_coro() if isinstance(task, asyncio.Task) else None


def _name(task: asyncio.Future[Any]) -> str:
    return str(getattr(_coroutine(task), "__qualname__", None) or task)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).split(".")[0]


def _place(frame: FrameType | None) -> str:
    if frame is None:
        return "unknown"
    return f"{frame.f_code.co_filename}:{frame.f_lineno} ({frame.f_code.co_qualname})"
