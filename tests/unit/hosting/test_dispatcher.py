"""The dispatcher: order, arguments, isolation and what it costs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter, sleep
from typing import Any

import pytest

from jota_core.api import (
    Code,
    Credentials,
    Health,
    MemoryStoreError,
    NotReady,
    Plugin,
    Principal,
    Refused,
    Settings,
    State,
    Tool,
    TurnDraft,
    hookimpl,
)

from .conftest import Stand

DRAFT = TurnDraft("t", 1, Principal("ana"), "hello", "system")
WHO = Credentials("app", key="k")


def noting(word: str, *, tryfirst: bool = False, trylast: bool = False) -> type[Plugin[Any]]:
    class Noting(Plugin[Settings]):
        @hookimpl(tryfirst=tryfirst, trylast=trylast)
        async def jota_prepare_turn(self, draft: TurnDraft) -> TurnDraft:
            return replace(draft, notes=(*draft.notes, word))

    return Noting


def failing(fail: Callable[[], Any]) -> type[Plugin[Any]]:
    class Failing(Plugin[Settings]):
        @hookimpl
        async def jota_prepare_turn(self) -> Any:
            result = fail()
            return await result if asyncio.iscoroutine(result) else result

    return Failing


def knowing(answer: Callable[[], Principal | None]) -> type[Plugin[Any]]:
    class Knowing(Plugin[Settings]):
        @hookimpl
        async def jota_authenticate(self, credentials: Credentials) -> Principal | None:
            return answer()

    return Knowing


def raising(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


async def test_sections_are_asked_in_their_order_tryfirst_first_and_trylast_last(stand: Stand) -> None:
    stand.add("z", noting("late", trylast=True)).add("b", noting("b")).add("a", noting("a"))
    stand.add("f1", noting("first 1", tryfirst=True)).add("f2", noting("first 2", tryfirst=True))
    await stand.start()
    draft = await stand.supervisor.dispatcher.prepare_turn(DRAFT)
    assert draft.notes == ("first 1", "first 2", "b", "a", "late")
    await stand.supervisor.stop()


async def test_an_implementation_names_only_the_arguments_it_needs(stand: Stand) -> None:
    class Chooser(Plugin[Settings]):
        @hookimpl
        def jota_choose_backend(self, candidates: Sequence[str]) -> str:
            return candidates[-1]

    class Swapped(Plugin[Settings]):
        @hookimpl
        async def jota_choose_backend(self, candidates: Sequence[str], draft: TurnDraft) -> str | None:
            return "nowhere" if draft.text == "hello" and len(candidates) == 2 else None

    stand.add("swapped", Swapped).add("chooser", Chooser)
    await stand.start()
    assert await stand.supervisor.dispatcher.choose_backend(DRAFT, ["llm", "far"]) == "far"
    await stand.supervisor.stop()


@pytest.mark.parametrize(
    "fail",
    [
        raising(ValueError("boom")),
        raising(SystemExit(1)),
        raising(asyncio.CancelledError()),
        lambda: asyncio.sleep(3600),
        lambda: "not a draft",
    ],
    ids=["raises", "exits", "cancels", "never returns", "wrong type"],
)
async def test_a_failing_hook_is_passed_over_named_switched_off_and_tried_again(
    stand: Stand, fail: Callable[[], Any]
) -> None:
    stand.add("a", noting("a")).add("bad", failing(fail)).add("b", noting("b"))
    await stand.start()
    prepare = stand.supervisor.dispatcher.prepare_turn
    assert (await prepare(DRAFT)).notes == ("a", "b")
    assert stand.state("bad") is State.DEGRADED
    assert "jota_prepare_turn failed" in stand.report("bad").detail
    for _ in range(4):
        await prepare(DRAFT)
    assert "switched off" in stand.report("bad").detail
    began = perf_counter()
    assert (await prepare(DRAFT)).notes == ("a", "b")
    assert perf_counter() - began < 0.05
    await stand.until("bad", State.RUNNING, limit_s=5.0)
    await prepare(DRAFT)
    assert stand.state("bad") is State.DEGRADED
    assert stand.state("a") is State.RUNNING
    await stand.supervisor.stop()


async def test_the_first_who_knows_answers_and_refused_is_an_answer(stand: Stand) -> None:
    refused = Refused(Code.FORBIDDEN, "Not you.")
    stand.add("none", knowing(lambda: None)).add("one", knowing(lambda: Principal("ana")))
    stand.add("no", knowing(raising(refused)))
    await stand.start()
    assert await stand.supervisor.dispatcher.authenticate(WHO) == Principal("ana")
    await stand.supervisor.stop()

    other = Stand(stand.folder, stand.pace).add("no", knowing(raising(refused)))
    await other.start()
    for _ in range(8):
        with pytest.raises(Refused, match="Not you"):
            await other.supervisor.dispatcher.authenticate(WHO)
    assert other.state("no") is State.RUNNING
    await other.supervisor.stop()


async def test_cannot_check_is_told_apart_from_nobody_knows(stand: Stand) -> None:
    class Away(Plugin[Settings]):
        @hookimpl
        async def jota_setup(self) -> None:
            raise NotReady("The store is away.")

        @hookimpl
        async def jota_authenticate(self) -> Principal | None:
            raise AssertionError("it is not set up")

    down = MemoryStoreError(Code.MEMORY_UNAVAILABLE, "The store is down.")
    for plugin in (Away, knowing(raising(down)), knowing(raising(ValueError()))):
        each = Stand(stand.folder, stand.pace).add("one", plugin).add("two", knowing(lambda: None))
        await each.start()
        with pytest.raises(Refused) as caught:
            await each.supervisor.dispatcher.authenticate(WHO)
        assert caught.value.code is Code.MEMORY_UNAVAILABLE
        await each.supervisor.stop()

    stand.add("two", knowing(lambda: None))
    await stand.start()
    assert await stand.supervisor.dispatcher.authenticate(WHO) is None
    await stand.supervisor.stop()


async def test_health_shows_what_sections_say_of_themselves(stand: Stand) -> None:
    class Ill(Plugin[Settings]):
        @hookimpl
        async def jota_health(self) -> Health:
            return Health(False, "The disk is full.", "Buy a disk.")

    stand.add("ill", Ill).add("mute", noting("x"))
    await stand.start()
    words = await stand.supervisor.dispatcher.health()
    ill, mute = stand.supervisor.reports(words)
    assert (ill.state, ill.detail, ill.hint) == (State.DEGRADED, "The disk is full.", "Buy a disk.")
    assert mute.state is State.RUNNING
    await stand.supervisor.stop()


async def test_a_section_that_cannot_say_what_it_offers_has_failed(stand: Stand) -> None:
    class Wrong(Plugin[Settings]):
        @hookimpl
        def jota_tools(self) -> Sequence[Tool]:
            return ["hammer"]  # type: ignore[list-item]  # that is the mistake

    class Exits(Plugin[Settings]):
        @hookimpl
        def jota_tools(self) -> Sequence[Tool]:
            sys.exit(1)

    stand.add("wrong", Wrong).add("exits", Exits).add("fine", noting("x"))
    await stand.start()
    assert [each.state for each in stand.supervisor.reports()] == [State.FAILED, State.FAILED, State.RUNNING]
    assert "'hammer', which is no Tool" in stand.report("wrong").detail
    await stand.supervisor.stop()


async def test_asking_nobody_costs_next_to_nothing_and_five_little(stand: Stand) -> None:
    await stand.start()
    nobody = await _cost(lambda: stand.supervisor.dispatcher.prepare_turn(DRAFT))
    await stand.supervisor.stop()

    five = Stand(stand.folder, stand.pace)
    for number in range(5):
        five.add(f"s{number}", noting(str(number)))
    await five.start()
    cost = await _cost(lambda: five.supervisor.dispatcher.prepare_turn(DRAFT))
    await five.supervisor.stop()
    print(f"nobody {nobody * 1e6:.2f} µs, five {cost * 1e6:.2f} µs")
    assert nobody < 2e-6
    assert cost < 60e-6


async def _cost(ask: Callable[[], Any]) -> float:
    """Seconds for one call: the best of several rounds, since the machine does other things as well."""
    best = 1.0
    for _ in range(20):
        began = perf_counter()
        for _ in range(200):
            await ask()
        best = min(best, (perf_counter() - began) / 200)
        sleep(0)
    return best
