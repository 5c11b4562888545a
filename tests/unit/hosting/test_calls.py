"""Calls into a plugin: nothing it raises, swallows or forgets reaches the caller."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jota_core.hosting import calls
from jota_core.hosting.calls import CallFailed, call, current_section


async def _answer() -> str:
    await asyncio.sleep(0)
    return f"heard by {current_section.get()}"


async def test_an_awaited_answer_comes_back_and_the_section_is_known_meanwhile() -> None:
    assert await call("kettle", _answer, limit_s=1.0) == "heard by kettle"
    assert await call("kettle", _answer) == "heard by kettle"
    assert await call("kettle", lambda: 7, limit_s=1.0) == 7
    assert current_section.get() is None


async def test_an_awaitable_that_is_no_coroutine_is_awaited() -> None:
    future = asyncio.get_running_loop().create_future()
    future.set_result("soon")
    assert await call("kettle", lambda: future, limit_s=1.0) == "soon"


@pytest.mark.parametrize(
    "error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), StopIteration()]
)
@pytest.mark.parametrize("late", [False, True])
async def test_whatever_it_raises_is_contained(error: BaseException, late: bool) -> None:
    async def fail() -> None:
        if late:
            await asyncio.sleep(0)
        raise error

    with pytest.raises(CallFailed) as caught:
        await call("kettle", fail, limit_s=1.0)
    if not isinstance(error, StopIteration):  # Python makes a RuntimeError of it
        assert caught.value.error is error
    await asyncio.sleep(0)  # nothing is left cancelled


async def test_a_call_that_never_returns_ends_at_its_limit() -> None:
    with pytest.raises(CallFailed) as caught:
        await call("kettle", asyncio.Event().wait, limit_s=0.02)
    assert isinstance(caught.value.error, TimeoutError)


async def test_a_call_that_swallows_its_cancellation_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "GRACE_S", 0.02)

    async def deaf() -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue

    async with asyncio.timeout(2):
        with pytest.raises(CallFailed) as caught:
            await call("kettle", deaf, limit_s=0.02)
    assert isinstance(caught.value.error, TimeoutError)
    await asyncio.sleep(0.05)


async def test_our_own_cancellation_passes_and_cannot_be_eaten() -> None:
    async def deaf() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return "I stay"
        return "never"

    for function in (deaf, asyncio.Event().wait):
        task: asyncio.Task[Any] = asyncio.ensure_future(call("kettle", function, limit_s=5.0))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
