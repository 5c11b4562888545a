"""The loop watch: a plugin that blocks the loop is named, and watching costs nothing to speak of."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from jota_core.api import LoopBlocked, State
from jota_core.hosting import Finder

from .conftest import Stand

BLOCKER = """
import time
from jota_core.api import Plugin, Settings, hookimpl

class Blocker(Plugin[Settings]):
    @hookimpl
    async def jota_prepare_turn(self):
        time.sleep(0.5)
"""


async def test_who_blocks_the_loop_is_named_and_its_hooks_switched_off(stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "blocker.py").write_text(BLOCKER)
    blocker = Finder().plugin_class("./blocker.py", tmp_path)
    # Two sections of one plugin: the object at work decides.
    stand.add("innocent", blocker).add("guilty", blocker)
    await stand.start()
    implementations = stand.supervisor.dispatcher._prepare
    stand.supervisor.dispatcher._prepare = implementations[1:]
    for _ in range(stand.pace.restart_budget):
        await stand.supervisor.dispatcher.prepare_turn(None)  # type: ignore[arg-type]  # it looks at nothing
        await asyncio.sleep(0.25)
    blocked = [fact for fact in stand.facts if isinstance(fact, LoopBlocked)]
    assert {fact.section for fact in blocked} == {"guilty"}
    assert "blocker.py:8 (Blocker.jota_prepare_turn)" in blocked[0].where
    assert stand.supervisor.watch.worst_ms > 300
    assert stand.state("innocent") is State.RUNNING
    assert "switched off" in stand.report("guilty").detail
    await stand.supervisor.stop()


async def test_watching_an_idle_loop_costs_next_to_nothing(stand: Stand) -> None:
    await stand.start()
    began, clock = time.process_time(), time.monotonic()
    await asyncio.sleep(2.0)
    share = (time.process_time() - began) / (time.monotonic() - clock)
    await stand.supervisor.stop()
    print(f"idle CPU {share:.4%}")
    assert share < 0.005
