"""The bus tells facts without making the teller wait."""

from __future__ import annotations

import asyncio
import logging

import pytest

from jota_core.api import Event, SessionClosed, SessionOpened
from jota_core.runtime import Bus


async def test_observers_hear_their_kind_in_order() -> None:
    bus, heard = Bus(), list[Event]()
    bus.subscribe(SessionOpened, heard.append)
    events = [SessionOpened(str(i), "app") for i in range(3)]
    for event in events:
        bus.publish(event)
    bus.publish(SessionClosed("0", "app"))
    assert heard == []
    await asyncio.sleep(0)
    assert heard == events


async def test_a_failing_observer_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    bus, heard = Bus(), list[Event]()

    def fail(event: Event) -> None:
        raise RuntimeError(event)

    bus.subscribe(SessionOpened, fail)
    bus.subscribe(SessionOpened, heard.append)
    with caplog.at_level(logging.ERROR):
        bus.publish(SessionOpened("1", "app"))
        await asyncio.sleep(0)
    assert len(heard) == 1
    assert "SessionOpened" in caplog.text


async def test_the_oldest_events_are_dropped_when_an_observer_is_slow() -> None:
    bus, heard = Bus(size=2), list[SessionOpened]()
    bus.subscribe(SessionOpened, heard.append)
    for i in range(5):
        bus.publish(SessionOpened(str(i), "app"))
    await asyncio.sleep(0)
    assert [event.session_id for event in heard] == ["3", "4"]


async def test_nothing_is_heard_after_unsubscribing() -> None:
    bus, heard = Bus(), list[Event]()
    bus.subscribe(SessionOpened, heard.append)()
    bus.publish(SessionOpened("1", "app"))
    await asyncio.sleep(0)
    assert heard == []
