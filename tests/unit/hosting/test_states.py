"""Whatever happens to a section in whatever order, its states follow each other legally."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jota_core.api import (
    AuthFailed,
    NotReady,
    Plugin,
    PluginContext,
    Principal,
    SectionChanged,
    Sessions,
    Settings,
    State,
    Transport,
    TurnDraft,
    hookimpl,
)
from jota_core.hosting import Pace
from jota_core.hosting.standing import LEGAL

from .conftest import LeapingLoop, Stand

DRAFT = TurnDraft("t", 1, Principal("ana"), "hello", "system")
ERRORS: dict[str, BaseException | None] = {
    "fine": None,
    "not ready": NotReady("Not yet."),
    "refused": ConnectionRefusedError(111, "refused"),
    "crash": ZeroDivisionError("x"),
    "exit": SystemExit(1),
    "wrong key": AuthFailed("Wrong key."),
}


class Fate:
    """What happens to the plugin next."""

    def __init__(self) -> None:
        self.set_up = self.hook = "fine"
        self.breaks: asyncio.Future[None] | None = None


def fated(fate: Fate) -> type[Plugin[Any]]:
    class Fated(Plugin[Settings], Transport):
        @hookimpl
        async def jota_setup(self, ctx: PluginContext) -> None:
            self.ctx = ctx
            if (error := ERRORS[fate.set_up]) is not None:
                raise error

        @hookimpl
        def jota_transports(self) -> Sequence[Transport]:
            return [self]

        @hookimpl
        async def jota_prepare_turn(self) -> None:
            if (error := ERRORS[fate.hook]) is not None:
                raise error

        async def serve(self, sessions: Sessions) -> None:
            self.ctx.ready()
            fate.breaks = asyncio.get_running_loop().create_future()
            await fate.breaks

    return Fated


class SectionLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.fate = Fate()
        self.pace = Pace()
        self.stand = Stand(Path(tempfile.gettempdir()), self.pace)
        self.runner = asyncio.Runner(loop_factory=LeapingLoop)
        self.started = self.stopped = False

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        self.runner.run(work)

    @precondition(lambda self: not self.started)
    @rule(outcome=st.sampled_from(sorted(ERRORS)))
    def start(self, outcome: str) -> None:
        self.fate.set_up = outcome
        self.started = True
        self.stand.add("one", fated(self.fate))
        self._do(self.stand.start())

    @rule(outcome=st.sampled_from(sorted(ERRORS)))
    def next_set_up(self, outcome: str) -> None:
        self.fate.set_up = outcome

    @precondition(lambda self: self.started and not self.stopped)
    @rule(seconds=st.sampled_from([0.5, 5.0, 61.0, 301.0]))
    def wait(self, seconds: float) -> None:
        self._do(asyncio.sleep(seconds))

    @precondition(lambda self: self.fate.breaks is not None and not self.stopped)
    @rule(outcome=st.sampled_from(sorted(ERRORS)))
    def door_breaks(self, outcome: str) -> None:
        async def scene() -> None:
            breaks, error = self.fate.breaks, ERRORS[outcome]
            if breaks is not None and not breaks.done():
                if error is None:
                    breaks.set_result(None)
                else:
                    breaks.set_exception(error)
                await asyncio.sleep(0.001)

        self._do(scene())

    @precondition(lambda self: self.started and not self.stopped)
    @rule(outcome=st.sampled_from(sorted(ERRORS)), times=st.integers(1, 7))
    def hook_is_called(self, outcome: str, times: int) -> None:
        async def scene() -> None:
            self.fate.hook = outcome
            for _ in range(times):
                assert await self.stand.supervisor.dispatcher.prepare_turn(DRAFT) is DRAFT

        self._do(scene())

    @precondition(lambda self: self.started and not self.stopped)
    @rule()
    def wake(self) -> None:
        async def scene() -> None:
            self.stand.supervisor.wake("one")
            await asyncio.sleep(0.001)

        self._do(scene())

    @precondition(lambda self: self.started and not self.stopped)
    @rule()
    def stop(self) -> None:
        self.stopped = True
        self._do(self.stand.supervisor.stop())

    @invariant()
    def every_change_was_legal(self) -> None:
        states = [State.FOUND, *(fact.state for fact in self.stand.facts if isinstance(fact, SectionChanged))]
        for before, after in zip(states, states[1:], strict=False):
            assert after is before or after in LEGAL[before], f"{before} to {after}"

    @precondition(lambda self: self.started)
    @invariant()
    def retries_keep_their_bounds(self) -> None:
        async def report() -> None:
            found = self.stand.report("one")
            if found.state is State.WAITING:
                assert found.retry_in_s is not None
                assert found.retry_in_s <= self.pace.longest_retry_s
            elif found.state is State.FAILED:
                assert found.retry_in_s is None or found.retry_in_s <= self.pace.slow_retry_s
            else:
                assert found.retry_in_s is None
            assert self.stopped is (found.state is State.STOPPED)

        self._do(report())

    def teardown(self) -> None:
        if self.started and not self.stopped:
            self._do(self.stand.supervisor.stop())
        self.runner.close()


TestSectionLife = SectionLife.TestCase
TestSectionLife.settings = settings(
    max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
