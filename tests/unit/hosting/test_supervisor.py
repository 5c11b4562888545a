"""The life of sections: tiers, verdicts, retries, doors, stop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from jota_core.api import (
    AuthFailed,
    NotReady,
    Plugin,
    PluginContext,
    SectionChanged,
    Sessions,
    Settings,
    SetupFailed,
    State,
    Transport,
    hookimpl,
)

from .conftest import Stand

Run = Callable[[Any], Any]


class Fine(Plugin[Settings]):
    """Offers nothing, works."""


def trying(*outcomes: BaseException | None) -> type[Plugin[Any]]:
    """A plugin whose set-ups end like this, one after the other; the last for ever."""
    left = list(outcomes)

    class Trying(Plugin[Settings]):
        @hookimpl
        async def jota_setup(self) -> None:
            outcome = left.pop(0) if len(left) > 1 else left[0]
            if outcome is not None:
                raise outcome

    return Trying


def door(serve: Callable[[PluginContext], Any]) -> type[Plugin[Any]]:
    class Door(Plugin[Settings], Transport):
        @hookimpl
        async def jota_setup(self, ctx: PluginContext) -> None:
            self.ctx = ctx

        @hookimpl
        def jota_transports(self) -> Sequence[Transport]:
            return [self]

        async def serve(self, sessions: Sessions) -> None:
            await serve(self.ctx)

    return Door


async def stay_open(ctx: PluginContext) -> None:
    ctx.ready()
    await asyncio.Event().wait()


async def test_tiers_come_one_after_the_other_and_doors_open_last(stand: Stand) -> None:
    seen: list[str] = []

    class Late(Plugin[Settings]):
        @hookimpl
        async def jota_setup(self, ctx: PluginContext) -> None:
            await asyncio.sleep(0.02)
            seen.append("set up")
            ctx.on_close(self.close)

        @hookimpl
        async def jota_started(self) -> None:
            seen.append("started")

        async def close(self) -> None:
            seen.append("closed")

    async def serve(ctx: PluginContext) -> None:
        seen.append("serves")
        try:
            await stay_open(ctx)
        finally:
            seen.append("shut")

    stand.add("app", door(serve)).add("late", Late)
    assert await stand.supervisor.settle() == ()
    assert seen == ["set up"]
    assert stand.state("app") is State.STARTING
    await stand.open()
    assert seen == ["set up", "started", "serves"]
    assert [(each.kinds, each.state) for each in stand.supervisor.reports()] == [
        (("door",), State.RUNNING), ((), State.RUNNING),
    ]  # fmt: skip
    await stand.supervisor.stop()
    assert seen[3:] == ["shut", "closed"]
    assert {each.state for each in stand.supervisor.reports()} == {State.STOPPED}


@pytest.mark.parametrize(
    "error", [NotReady("Not yet."), ConnectionRefusedError(111, "refused"), TimeoutError()]
)
async def test_what_is_missing_outside_makes_it_wait_and_come_back(
    stand: Stand, error: BaseException
) -> None:
    stand.add("far", trying(error, error, None), required=True).add("near", Fine)
    missing = await stand.supervisor.settle()
    assert [each.section for each in missing] == ["far"]
    assert stand.state("near") is State.RUNNING
    await stand.open()
    await stand.until("far", State.RUNNING, limit_s=5.0)
    assert stand.report("far").restarts == 2
    await stand.supervisor.stop()


@pytest.mark.parametrize("error", [AuthFailed("The key is wrong."), SetupFailed("No model file.")])
def test_what_only_the_user_can_mend_is_not_tried_again(
    slow_stand: Stand, leaping: Run, error: Exception
) -> None:
    async def scene() -> None:
        slow_stand.add("far", trying(error, None))
        await slow_stand.start()
        await asyncio.sleep(10_000)
        report = slow_stand.report("far")
        assert (report.state, report.detail, report.retry_in_s) == (State.FAILED, str(error), None)
        await slow_stand.supervisor.stop()

    leaping(scene())


def test_a_crashing_set_up_is_tried_with_back_off_then_seldom_but_for_ever(
    slow_stand: Stand, leaping: Run
) -> None:
    async def scene() -> None:
        slow_stand.add("odd", trying(*[ZeroDivisionError("x")] * 8, None))
        await slow_stand.start()
        await slow_stand.until("odd", State.FAILED)
        assert asyncio.get_running_loop().time() < 20
        assert slow_stand.report("odd").retry_in_s == pytest.approx(300, abs=2)
        assert "ZeroDivisionError" in slow_stand.report("odd").detail
        await slow_stand.until("odd", State.RUNNING, limit_s=5000)
        await slow_stand.supervisor.stop()

    leaping(scene())


def test_a_set_up_that_never_returns_does_not_hold_the_others(slow_stand: Stand, leaping: Run) -> None:
    class Never(Plugin[Settings]):
        @hookimpl
        async def jota_setup(self) -> None:
            await asyncio.Event().wait()

    async def scene() -> None:
        slow_stand.add("never", Never).add("app", door(stay_open))
        await slow_stand.start()
        assert asyncio.get_running_loop().time() <= 31.5
        assert slow_stand.report("never").detail == "Setting up took too long."
        assert slow_stand.state("app") is State.RUNNING
        await slow_stand.supervisor.stop()

    leaping(scene())


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_exits_in_set_up_stay_with_their_section(stand: Stand, error: BaseException) -> None:
    stand.add("bad", trying(error)).add("fine", Fine)
    await stand.start()
    assert stand.state("fine") is State.RUNNING
    assert stand.state("bad") in (State.WAITING, State.FAILED)
    await stand.supervisor.stop()


async def test_a_plugin_that_cannot_be_made_or_loaded_has_failed(stand: Stand) -> None:
    class Unmade(Plugin[Settings]):
        def __init__(self, settings: Settings) -> None:
            raise SystemExit(2)

    stand.add("unmade", Unmade, required=True).add("fine", Fine)
    stand.add_broken("broken", State.FAILED, "Importing it failed.")
    stand.add_broken("stranger", State.STOPPED, "left out by safe mode")
    missing = await stand.supervisor.settle()
    assert [each.section for each in missing] == ["unmade"]
    states = [each.state for each in stand.supervisor.reports()]
    assert states == [State.FAILED, State.RUNNING, State.FAILED, State.STOPPED]
    await stand.supervisor.stop()


async def test_what_a_failed_set_up_opened_is_closed_before_the_next_try(stand: Stand) -> None:
    events: list[str] = []

    class Half(Plugin[Settings]):
        @hookimpl
        async def jota_setup(self, ctx: PluginContext) -> None:
            events.append("open")
            ctx.on_close(self.close)
            if len(events) < 3:
                raise ConnectionResetError

        async def close(self) -> None:
            events.append("close")

    stand.add("half", Half)
    await stand.start()
    await stand.until("half", State.RUNNING, limit_s=5.0)
    assert events == ["open", "close", "open"]
    await stand.supervisor.stop()
    assert events[-1] == "close"


async def test_wake_ends_a_wait(slow_stand: Stand) -> None:
    slow_stand.add("far", trying(NotReady("Not yet."), None))
    await slow_stand.start()
    slow_stand.supervisor.wake("far")
    await slow_stand.until("far", State.RUNNING, limit_s=0.4)
    await slow_stand.supervisor.stop()


async def test_a_door_waits_for_its_port_and_says_so(stand: Stand) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]

    async def serve(ctx: PluginContext) -> None:
        async with await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", port) as server:
            ctx.ready()
            await server.serve_forever()

    stand.add("app", door(serve), required=True)
    assert await stand.supervisor.settle() == ()
    missing = await stand.open()
    assert missing[0].state is State.WAITING
    assert f"127.0.0.1:{port} is in use" in missing[0].detail
    taken.close()
    await stand.until("app", State.RUNNING, limit_s=5.0)
    await stand.supervisor.stop()


async def test_a_door_that_crashes_or_ends_is_opened_again(stand: Stand) -> None:
    opened: list[int] = []

    async def serve(ctx: PluginContext) -> None:
        opened.append(1)
        if len(opened) == 1:
            raise ZeroDivisionError
        if len(opened) > 2:
            await stay_open(ctx)

    stand.add("app", door(serve))
    await stand.start()
    assert stand.state("app") is State.WAITING
    await stand.until("app", State.RUNNING, limit_s=5.0)
    assert len(opened) == 3
    await stand.supervisor.stop()


async def test_background_work_is_restarted_and_the_section_degraded_meanwhile(stand: Stand) -> None:
    runs: list[int] = []

    class Busy(Plugin[Settings]):
        @hookimpl
        async def jota_setup(self, ctx: PluginContext) -> None:
            ctx.spawn("poll", self.poll)

        async def poll(self) -> None:
            runs.append(1)
            if len(runs) < 3:
                raise SystemExit(1)
            await asyncio.Event().wait()

    stand.add("busy", Busy)
    await stand.start()
    await stand.until("busy", State.DEGRADED, limit_s=5.0)
    assert "poll failed: it called exit" in stand.report("busy").detail
    await stand.until("busy", State.RUNNING, limit_s=5.0)
    assert len(runs) == 3
    await stand.supervisor.stop()


async def test_leaked_tasks_are_found_ended_and_named(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    class Leaky(Plugin[Settings]):
        @hookimpl
        async def jota_started(self) -> None:
            self.task = asyncio.get_running_loop().create_task(self.leak())

        async def leak(self) -> None:
            await asyncio.Event().wait()

    before = asyncio.all_tasks()
    stand.add("leaky", Leaky)
    await stand.start()
    await stand.supervisor.stop()
    assert "Section leaky left 1 tasks running" in caplog.text
    assert "Leaky.leak" in caplog.text
    assert asyncio.all_tasks() == before


async def test_stop_keeps_its_budget_whatever_plugins_do(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[str] = []

    class Slow(Plugin[Settings]):
        @hookimpl
        async def jota_setup(self, ctx: PluginContext) -> None:
            ctx.on_close(self.first)
            ctx.on_close(self.hang)
            ctx.on_close(self.exits)
            ctx.spawn("deaf", self.deaf)

        async def first(self) -> None:
            closed.append("first")

        async def hang(self) -> None:
            await asyncio.Event().wait()

        async def exits(self) -> None:
            raise SystemExit(1)

        async def deaf(self) -> None:
            end = asyncio.get_running_loop().time() + 0.5
            while asyncio.get_running_loop().time() < end:
                try:
                    await asyncio.sleep(0.5)
                except asyncio.CancelledError:
                    continue

    stand.add("slow", Slow).add("fine", Fine)
    await stand.start()
    await asyncio.sleep(0.01)
    began = asyncio.get_running_loop().time()
    await stand.supervisor.stop()
    assert asyncio.get_running_loop().time() - began < 1.5
    assert closed == ["first"]
    for word in (
        "slow:deaf did not end",
        "hang failed (not done within 0.2 s)",
        "exits failed (it called exit",
    ):
        assert word in caplog.text
    await asyncio.sleep(0.5)


async def test_stop_in_the_middle_of_a_set_up_closes_what_was_open(stand: Stand) -> None:
    closed: list[str] = []

    class Halfway(Plugin[Settings]):
        @hookimpl
        async def jota_setup(self, ctx: PluginContext) -> None:
            ctx.on_close(self.close)
            await asyncio.Event().wait()

        async def close(self) -> None:
            closed.append("yes")

    stand.add("half", Halfway)
    settling = asyncio.ensure_future(stand.supervisor.settle())
    await asyncio.sleep(0.02)
    await stand.supervisor.stop()
    await settling
    assert closed == ["yes"]
    assert stand.state("half") is State.STOPPED


async def test_draining_is_told_to_all_and_limited(stand: Stand) -> None:
    told: list[float] = []

    class Drains(Plugin[Settings]):
        @hookimpl
        async def jota_draining(self, deadline_s: float) -> None:
            told.append(deadline_s)
            await asyncio.Event().wait()

    stand.add("one", Drains).add("two", Drains)
    await stand.start()
    await stand.supervisor.drain(0.05)
    assert told == [0.05, 0.05]
    await stand.supervisor.stop()


async def test_going_and_coming_back_are_logged_once_and_published(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stand.add("far", trying(*[ConnectionRefusedError(111, "refused")] * 3, None))
    await stand.start()
    await stand.until("far", State.RUNNING, limit_s=5.0)
    assert caplog.text.count("Section far is waiting") == 1
    assert caplog.text.count("Section far is running again") == 1
    states = [fact.state for fact in stand.facts if isinstance(fact, SectionChanged)]
    assert states == [State.LOADED, *[State.STARTING, State.WAITING] * 3, State.STARTING, State.RUNNING]
    await stand.supervisor.stop()
