"""Hours pass in no time, in the right order."""

from __future__ import annotations

import asyncio
import time

from jota_core.api import Outcome
from jota_core.testing import RunHost, Script, ScriptedBackend, ask, virtual_time


@virtual_time
async def test_sleeping_takes_no_time_and_keeps_its_order() -> None:
    began, loop, woken = time.monotonic(), asyncio.get_running_loop(), list[float]()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(loop.time())

    await asyncio.gather(sleep(3600), sleep(60), sleep(0.5), sleep(7200))
    assert woken == [0.5, 60, 3600, 7200]
    assert time.monotonic() - began < 1


@virtual_time
async def test_a_limit_passes_by_itself() -> None:
    try:
        async with asyncio.timeout(600):
            await asyncio.Event().wait()
    except TimeoutError:
        assert asyncio.get_running_loop().time() == 600


@virtual_time
async def test_work_in_a_thread_is_waited_for() -> None:
    async with asyncio.timeout(60):
        await asyncio.to_thread(time.sleep, 0.02)


@virtual_time
async def test_a_whole_host_runs_in_it(run_host: RunHost) -> None:
    backend = ScriptedBackend(Script("a b c", between_s=10), Script("never", hang_at=0))
    began = time.monotonic()
    async with run_host({"turns": {"first_token_s": 60}}, plugins={"llm": backend}) as host:
        assert (await ask(host.sessions, "Slowly, please.", limit_s=100)).text == "a b c"
        stalled = (await ask(host.sessions, "And now?", limit_s=100)).ends[0]
    assert (stalled.outcome, stalled.error and stalled.error.code) == (Outcome.FAILED, "stalled")
    assert time.monotonic() - began < 30
