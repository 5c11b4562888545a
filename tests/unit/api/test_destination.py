"""Where a far end is: addresses that are tried, and which of them first."""

from __future__ import annotations

from jota_core.api import INFERENCE, Destination, Far, ServiceRecord
from jota_core.testing import free_port

from .test_proof import KEY, serving


async def nowhere(host: str) -> tuple[str, ...]:
    return ()


async def test_the_address_that_answered_is_tried_first_from_then_on() -> None:
    server = await serving(KEY, [])
    assert server.port is not None
    record = ServiceRecord(
        INFERENCE, "4711", "x", "greenhouse.local", ("127.0.0.9", "127.0.0.1"), server.port
    )
    destination = Destination(Far("discover", INFERENCE, ("ws", "wss"), 3000))
    destination.found(record)
    assert [place.host for place in await destination.places(nowhere)] == ["127.0.0.9", "127.0.0.1"]
    assert (await destination.place(nowhere, "me", KEY)).host == "127.0.0.1"
    assert [place.host for place in await destination.places(nowhere)] == ["127.0.0.1", "127.0.0.9"]
    await server.close()


async def test_who_failed_is_asked_last_whatever_its_load_until_it_is_told_anew() -> None:
    destination = Destination(Far("discover", INFERENCE, ("ws", "wss"), 3000))
    one, two = (
        ServiceRecord(INFERENCE, id_, id_, f"{id_}.local", ("10.0.0.2",), free_port(), {"load": load})
        for id_, load in (("one", "0"), ("two", "5"))
    )
    for each in (one, two):
        destination.found(each)
    [first, second] = await destination.places(nowhere)
    assert (first.record, second.record) == (one, two)
    destination.failed(first)
    destination.found(ServiceRecord(one.kind, "one", "one", one.host, one.addresses, one.port, {"load": "1"}))
    assert (await destination.places(nowhere))[0].record == two
    destination.lost(one)
    destination.found(one)
    assert (await destination.places(nowhere))[0].record == one
