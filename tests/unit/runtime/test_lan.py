"""What the sections are told of the LAN: settled states, and one change for many flickers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from jota_core.api import ServiceMatcher, ServiceRecord
from jota_core.runtime.sightings import CALM_S, MOST, SETTLE_S, Sightings
from jota_core.testing.virtual_time import VirtualTimeLoop, virtual_time

HOME = ServiceRecord("_jota-inference._tcp", "4711", "greenhouse", "greenhouse.local", ("10.0.0.2",), 3000)
KEY = (HOME.kind, HOME.id, HOME.name)
Told = list[tuple[float, str, str]]


@asynccontextmanager
async def registry() -> AsyncIterator[tuple[Sightings, Told]]:
    sightings, told, loop = Sightings(), Told(), asyncio.get_running_loop()

    async def found(record: ServiceRecord, *, is_news: bool) -> None:
        told.append((round(loop.time(), 2), "found" if is_news else "load", record.addresses[0]))

    async def lost(record: ServiceRecord) -> None:
        told.append((round(loop.time(), 2), "lost", record.addresses[0]))

    telling = asyncio.create_task(sightings.tell(found, lost))
    try:
        yield sightings, told
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        sightings.close()


@virtual_time
async def test_a_record_settles_before_it_is_told_and_a_goodbye_is_told_at_once() -> None:
    async with registry() as (sightings, told):
        sightings.seen(HOME)
        await asyncio.sleep(5)
        sightings.gone(KEY)
        await asyncio.sleep(0.1)
        assert told == [(SETTLE_S, "found", "10.0.0.2"), (5.0, "lost", "10.0.0.2")]


@virtual_time
async def test_what_goes_before_it_has_settled_was_never_there() -> None:
    async with registry() as (sightings, told):
        sightings.seen(HOME)
        await asyncio.sleep(0.5)
        sightings.gone(KEY)
        await asyncio.sleep(5)
        assert told == []


@virtual_time
async def test_a_first_return_is_told_soon_and_flapping_once_in_ten_seconds() -> None:
    async with registry() as (sightings, told):
        sightings.seen(HOME)
        await asyncio.sleep(100)
        for _ in range(6):
            sightings.gone(KEY)
            await asyncio.sleep(0.5)
            sightings.seen(HOME)
            await asyncio.sleep(1.5)
        await asyncio.sleep(20)
        found = [at for at, what, _ in told if what == "found"]
        assert found[1] == 101.5
        assert all(after - before >= CALM_S for before, after in zip(found[1:], found[2:], strict=False))
        assert told[-1][1] == "found"


@virtual_time
async def test_another_address_is_told_once_it_has_settled_and_a_load_at_once() -> None:
    async with registry() as (sightings, told):
        sightings.seen(HOME)
        await asyncio.sleep(2)
        sightings.seen(replace(HOME, txt={"load": "3"}))
        await asyncio.sleep(0.1)
        assert told[-1][:2] == (2.0, "load")
        sightings.seen(replace(HOME, addresses=("10.0.0.9",)))
        await asyncio.sleep(2)
        assert told[-1] == (3.1, "found", "10.0.0.9")
        assert [each.addresses for each in sightings.known] == [("10.0.0.9",)]


@virtual_time
async def test_the_registry_is_bounded_and_forgets() -> None:
    async with registry() as (sightings, _):
        for number in range(MOST + 10):
            sightings.seen(replace(HOME, id=str(number)))
        assert sightings.dropped["too many"] == 10
        await asyncio.sleep(2)
        for number in range(MOST):
            sightings.gone((HOME.kind, str(number), HOME.name))
        await asyncio.sleep(CALM_S + 1)
        sightings.seen(HOME)
        await asyncio.sleep(2)
        assert len(sightings.known) == 1


@given(st.lists(st.tuples(st.sampled_from(["seen", "moved", "gone"]), st.floats(0.01, 6)), max_size=30))
def test_whatever_happens_the_last_word_is_what_is_there(steps: list[tuple[str, float]]) -> None:
    async def play() -> None:
        async with registry() as (sightings, told):
            there: ServiceRecord | None = None
            for what, pause_s in steps:
                if what == "gone":
                    there = None
                    sightings.gone(KEY)
                else:
                    there = HOME if what == "seen" else replace(HOME, addresses=("10.0.0.9",))
                    sightings.seen(there)
                await asyncio.sleep(pause_s)
            await asyncio.sleep(CALM_S + SETTLE_S + 1)
            assert sightings.known == ((there,) if there else ())
            if told:
                assert told[-1][1] == ("found" if there else "lost")
            states = [what for _, what, _ in told]
            assert all((a, b) != ("lost", "lost") for a, b in zip(states, states[1:], strict=False))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play())


def test_a_pin_is_an_id_or_a_host_name() -> None:
    def matches(pin: str | None, kind: str = HOME.kind) -> bool:
        return ServiceMatcher(kind, pin).matches(HOME)

    assert matches(None)
    assert matches("4711")
    assert matches("greenhouse")
    assert matches("Greenhouse.local.")
    assert not matches("green")
    assert not matches("attic")
    assert not matches(None, "_jota-db._tcp")
