"""The cutter ends what it guards on demand or on silence, and never what outside cancels."""

from __future__ import annotations

import asyncio

import pytest

from jota_core.api import BackendError, Code
from jota_core.runtime.cutter import Cutter


async def test_silence_before_the_first_token_is_a_stall() -> None:
    with pytest.raises(BackendError) as cut:
        async with Cutter(0.02, 10):
            await asyncio.sleep(5)
    assert cut.value.code is Code.STALLED


async def test_signs_of_life_put_the_stall_off() -> None:
    async with Cutter(0.1, 10) as cutter:
        for _ in range(12):
            await asyncio.sleep(0.02)
            cutter.touch()
    assert cutter.reason is None


async def test_the_shorter_limit_holds_once_it_speaks() -> None:
    with pytest.raises(BackendError, match=r"0\.02 s"):
        async with asyncio.timeout(1), Cutter(10, 0.02) as cutter:
            cutter.touch()
            cutter.speaking()
            await asyncio.sleep(5)


async def test_no_stall_is_counted_while_the_user_is_slow() -> None:
    async with Cutter(0.02, 0.02) as cutter:
        cutter.hold()
        await asyncio.sleep(0.1)
        cutter.touch()
    assert cutter.reason is None


async def test_a_cut_before_the_block_ends_it_at_its_first_wait() -> None:
    cutter = Cutter(10, 10)
    cutter.cut(Code.CANCELLED, "gone")
    cutter.cut(Code.SERVER_RESTART, "the first reason stays")
    with pytest.raises(BackendError, match="gone"):
        async with cutter:
            await asyncio.sleep(5)


async def test_cancelling_the_task_stays_a_cancellation() -> None:
    async def work() -> None:
        async with Cutter(10, 10):
            await asyncio.sleep(5)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_time_out_of_the_backend_itself_is_not_taken_for_a_cut() -> None:
    with pytest.raises(TimeoutError):
        async with Cutter(10, 10):
            raise TimeoutError
