"""Brokers that are found: those that do not let us in, those that are none, and what they change for ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from jota_core.api import BROKER, Lan, Plugin, PluginContext, ServiceRecord, hookimpl
from jota_core.testing import ScriptedBackend
from jota_mqtt.nodes.passwords import line

from .conftest import MOSQUITTO, NO_MOSQUITTO, Mosquitto, node_at
from .house import House, house_at
from .test_faults import until_answered, until_well

Attend = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Found:
    """Stands for a broker that is found."""

    @property
    def section(self) -> dict[str, Any]:
        """What jota.yaml says of it."""
        return {"plugin": "jota_mqtt", "broker": "discover"}


class Seeing:
    """Discovery that sees what a test tells it; `late` a second after the others."""

    def __init__(self, *records: ServiceRecord, late: ServiceRecord | None = None) -> None:
        self.records = records
        self.late = late
        self.lan: Lan

    @property
    def plugin(self) -> type[Plugin[Any]]:
        seeing = self

        class Discovery(Plugin[Any]):
            @hookimpl
            async def jota_setup(self, ctx: PluginContext) -> None:
                seeing.lan = ctx.lan
                for record in seeing.records:
                    ctx.lan.seen(record)
                if seeing.late:
                    asyncio.get_running_loop().call_later(1.0, ctx.lan.seen, seeing.late)

        return Discovery


def announced(name: str, port: int, load: int, host: str = "", address: str = "127.0.0.1") -> ServiceRecord:
    """A broker's announcement; of several the one with the least load is the first to be asked."""
    host = f"{host or name}.local"
    return ServiceRecord(BROKER, name, name, host, (address,), port, {"load": str(load)})


@asynccontextmanager
async def house_seeing(folder: Path, seeing: Seeing, **nodes: Any) -> AsyncIterator[House]:
    llm = ScriptedBackend("fine")
    async with house_at(folder / "host", Found(), llm, plugins={"lan": seeing.plugin}, **nodes) as house:
        yield house


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Mosquitto]:
    """Another household's: it knows its own people."""
    if MOSQUITTO is None:
        pytest.skip(NO_MOSQUITTO)
    with started(Mosquitto(tmp_path / "strict", anonymous=False)) as broker:
        yield broker


@contextmanager
def started(broker: Mosquitto) -> Iterator[Mosquitto]:
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


@asynccontextmanager
async def stranger(attend: Attend) -> AsyncIterator[int]:
    """Something that listens, and is no broker; gives its port."""
    writers: list[asyncio.StreamWriter] = []

    async def attended(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await attend(reader, writer)
        writer.close()

    server = await asyncio.start_server(attended, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()


async def until_said(house: House, *words: str, limit_s: float = 20) -> Any:
    end, report = monotonic() + limit_s, await house.health()
    while [word for word in words if word not in report.detail]:
        assert monotonic() < end, report
        await asyncio.sleep(0.02)
        report = await house.health()
    return report


async def test_another_households_broker_does_not_keep_us_from_ours(
    tmp_path: Path, mosquitto: Mosquitto, strict: Mosquitto
) -> None:
    seeing = Seeing(announced("neighbour", strict.port, 0), announced("porch", mosquitto.port, 5))
    async with house_seeing(tmp_path, seeing) as house, node_at(mosquitto.port) as node:
        await house.approve()
        await until_well(house)
        await until_answered(node)


async def test_a_found_broker_that_wants_a_login_is_not_the_end(
    tmp_path: Path, mosquitto: Mosquitto, strict: Mosquitto
) -> None:
    seeing = Seeing(announced("neighbour", strict.port, 0))
    async with house_seeing(tmp_path, seeing) as house:
        report = await until_said(house, "neighbour.local", "`username:`", "`pin:`")
        assert report.state == "degraded"
        seeing.lan.seen(announced("porch", mosquitto.port, 5))
        await until_well(house)


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def close_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


async def let_in_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes whoever comes and what they ask for, and hangs up."""
    if await reader.read(4096):
        writer.write(bytes([0x20, 3, 0, 0, 0]))
        subscribed = await reader.read(4096)
        after_length = 2 if subscribed[1] < 128 else 3
        writer.write(bytes([0x90, 4, *subscribed[after_length : after_length + 2], 0, 0]))
        await writer.drain()


@pytest.mark.parametrize("attend", [say_nothing, close_at_once, let_in_and_close])
async def test_what_only_listens_is_left_for_a_broker_which_is_spoken_to_by_mqtt_5(
    tmp_path: Path, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture, attend: Attend
) -> None:
    caplog.set_level(logging.INFO)
    async with stranger(attend) as port, stranger(attend) as other:
        seeing = Seeing(
            announced("nothing", port, 0),
            announced("naught", other, 1),
            announced("porch", mosquitto.port, 5),
        )
        async with house_seeing(tmp_path, seeing) as house:
            await until_well(house)
            told = next(each for each in caplog.messages if "Connected to mqtt://porch.local" in each)
            assert told.endswith("by MQTT 5.")


async def test_each_address_of_a_found_broker_has_its_turn(tmp_path: Path, mosquitto: Mosquitto) -> None:
    record = announced("porch", mosquitto.port, 0)
    seeing = Seeing(replace(record, addresses=("127.0.0.9", "127.0.0.1")))
    async with house_seeing(tmp_path, seeing) as house:
        await until_well(house)


async def test_while_none_is_found_the_log_names_what_is_looked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with house_seeing(tmp_path, Seeing()) as house:
        await until_said(house, "Looking for a service _mqtt._tcp on the LAN")
        assert "Looking for a service _mqtt._tcp on the LAN" in caplog.text
        assert "broker at discover" not in caplog.text


LOGIN = {"username": "jota", "password": "the-secret-of-this-test", "pin": "cellar"}


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Mosquitto]:
    """Lets in who knows the password."""
    if MOSQUITTO is None:
        pytest.skip(NO_MOSQUITTO)
    folder = tmp_path / "ours"
    folder.mkdir()
    (folder / "passwd").write_text(f"{line(LOGIN['username'], LOGIN['password'])}\n")
    (folder / "passwd").chmod(0o640)
    broker = Mosquitto(folder, more=f"password_file {folder}/passwd", anonymous=False)
    with started(broker):
        yield broker


class Liar:
    """Lets everybody in, and remembers what it was told."""

    def __init__(self) -> None:
        self.heard = b""

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(4096):
            self.heard += said
            writer.write(bytes([0x20, 3, 0, 0, 0]))


async def test_while_two_claim_the_pinned_name_neither_is_told_the_password(
    tmp_path: Path, ours: Mosquitto
) -> None:
    liar = Liar()
    async with stranger(liar.attend) as port:
        real, false = announced("cellar-1", ours.port, 5, "cellar"), announced("other", port, 0, "cellar")
        seeing = Seeing(real, false)
        async with house_seeing(tmp_path, seeing, **LOGIN) as house:
            report = await until_said(house, "claim to be 'cellar'", str(ours.port), str(port), "`broker:`")
            assert report.state == "degraded"
            seeing.lan.gone(false)
            await until_well(house)
            seeing.lan.seen(false)
            async with asyncio.timeout(20):
                while "claim to be 'cellar'" not in (await house.health()).hint:
                    await asyncio.sleep(0.05)
            assert (await house.health()).state == "running"
            ours.kill()
            await until_said(house, "claim to be 'cellar'")
        assert liar.heard == b""


async def test_a_liar_who_is_quicker_than_ours_is_not_told_the_password(
    tmp_path: Path, ours: Mosquitto
) -> None:
    liar = Liar()
    async with stranger(liar.attend) as port:
        real, false = announced("cellar-1", ours.port, 5, "cellar"), announced("other", port, 0, "cellar")
        async with house_seeing(tmp_path, Seeing(false, late=real), **LOGIN) as house:
            await until_said(house, "claim to be 'cellar'")
        assert liar.heard == b""


async def test_who_takes_the_name_of_a_broker_that_is_away_is_not_told_its_password(
    tmp_path: Path, ours: Mosquitto
) -> None:
    liar = Liar()
    async with stranger(liar.attend) as port:
        real, false = announced("cellar-1", ours.port, 5, "cellar"), announced("other", port, 0, "cellar")
        seeing = Seeing(real)
        async with house_seeing(tmp_path, seeing, **LOGIN) as house:
            await until_well(house)
            ours.kill()
            seeing.lan.gone(real)
            seeing.lan.seen(false)
            await until_said(house, "'other' at cellar.local", "'cellar-1'", "restart Jota", "`broker:`")
            seeing.lan.gone(false)
            ours.start()
            seeing.lan.seen(real)
            await until_well(house)
        assert liar.heard == b""
