"""Calls into a plugin: limited in time, and whatever it raises stays contained."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar, Token
from typing import Any

from jota_core.api import section_at_work

current_section: ContextVar[str | None] = ContextVar("current_section", default=None)
"""The section whose code runs now; tasks that it starts inherit the value."""

Marks = tuple[Token[str | None], Token[str]]

GRACE_S = 1.0
"""For cleaning up after a time limit; then the call is abandoned."""


class CallFailed(Exception):
    """A plugin raised (anything at all), or took too long (`TimeoutError`)."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


async def call(
    section: str, function: Callable[..., object], *arguments: object, limit_s: float | None = None
) -> Any:
    """Call a plugin's function and await what is awaitable, in the caller's own task.

    Raises `CallFailed` for everything that is not the caller's own cancellation: a plugin that
    calls `sys.exit`, raises `CancelledError` or swallows a cancellation changes nothing for us.
    """
    task = asyncio.current_task()
    assert task is not None
    cancels = task.cancelling()
    marks = _enter(section)
    try:
        result = function(*arguments)
        if isinstance(result, Awaitable):
            result = await _limited(_coroutine(result), limit_s)
    except GeneratorExit:
        raise  # our own coroutine is thrown away, maybe in another context
    except BaseException as error:
        _leave(marks)
        if isinstance(error, asyncio.CancelledError) and task.cancelling() > cancels:
            raise
        raise CallFailed(error) from error
    _leave(marks)
    if task.cancelling() > cancels:
        raise asyncio.CancelledError
    return result


def call_now(section: str, function: Callable[..., object], *arguments: object) -> Any:
    """Call a plugin's plain function. Raises `CallFailed` for whatever it raises."""
    marks = _enter(section)
    try:
        return function(*arguments)
    except BaseException as error:
        raise CallFailed(error) from error
    finally:
        _leave(marks)


def _enter(section: str) -> Marks:
    return current_section.set(section), section_at_work.set(section)


def _leave(marks: Marks) -> None:
    current_section.reset(marks[0])
    section_at_work.reset(marks[1])


def _coroutine(result: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    if isinstance(result, types.CoroutineType):
        return result

    async def wrapped() -> Any:
        return await result

    return wrapped()


async def _limited(work: Coroutine[Any, Any, Any], limit_s: float | None) -> Any:
    """Await `work`; the clock is armed only when it really waits, which most hooks never do."""
    if limit_s is None:
        return await work
    try:
        waiting = work.send(None)
    except StopIteration as done:
        return done.value
    async with asyncio.timeout(limit_s + GRACE_S) as patience, asyncio.timeout(limit_s):
        return await _Resumed(work, waiting, patience)


class _Resumed:
    """The rest of a coroutine that was begun already; given up when it outlives its patience."""

    def __init__(self, work: Coroutine[Any, Any, Any], waiting: Any, patience: asyncio.Timeout) -> None:
        self._work = work
        self._waiting = waiting
        self._patience = patience

    def __await__(self) -> Generator[Any, Any, Any]:
        work, waiting = self._work, self._waiting
        try:
            while True:
                try:
                    sent = yield waiting
                except BaseException as thrown:
                    if self._patience.expired():
                        work.close()  # it swallowed the first cancellation
                        raise
                    waiting = work.throw(thrown)
                else:
                    waiting = work.send(sent)
        except StopIteration as done:
            return done.value
