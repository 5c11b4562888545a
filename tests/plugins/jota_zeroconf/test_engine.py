"""The engine on loopback: what it asks for, and what it does not believe any more."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from zeroconf import RecordUpdate, ServiceStateChange, current_time_millis
from zeroconf.asyncio import AsyncServiceInfo

from jota_core.api import INFERENCE
from jota_zeroconf.commands import Seen
from jota_zeroconf.engine import Engine

TYPE = f"{INFERENCE}.local."
NAME = f"greenhouse-4711.{TYPE}"


@pytest.fixture
async def engine() -> AsyncIterator[tuple[Engine, Seen]]:
    seen = Seen()
    engine = Engine(seen, ["127.0.0.1"], Counter())
    yield engine, seen
    await engine.close(forget=False)


async def test_what_left_while_it_was_asked_for_is_not_there(engine: tuple[Engine, Seen]) -> None:
    """As zeroconf tells it: the name first, its address on request, and the goodbye in between."""
    here, seen = engine
    zeroconf = here.zeroconf.zeroconf
    here._changed(zeroconf, TYPE, NAME, ServiceStateChange.Added)
    await asyncio.sleep(0.1)
    here._changed(zeroconf, TYPE, NAME, ServiceStateChange.Removed)
    info = AsyncServiceInfo(
        TYPE, NAME, port=3000, server="greenhouse.local.", properties={"id": "4711"},
        parsed_addresses=["10.0.0.2"],
    )  # fmt: skip
    now = current_time_millis()
    records = [info.dns_service(), info.dns_text(), *info.dns_addresses()]
    zeroconf.cache.async_add_records(records)
    zeroconf.record_manager.async_updates(now, [RecordUpdate(each, None) for each in records])
    await asyncio.sleep(3.2)
    assert not seen.records
    here._changed(zeroconf, TYPE, NAME, ServiceStateChange.Added)
    assert [record.host for record in seen.records.values()] == ["greenhouse.local"]
