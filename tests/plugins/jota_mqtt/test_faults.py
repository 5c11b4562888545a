"""What nodes and brokers do wrong: killed and restarted, flooded with noise, two devices with one name."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest
from aiomqtt import Client, MqttError

from jota_core.testing import Script, ScriptedBackend, free_port

from .conftest import Box, Broker, Mosquitto, Node, node_at
from .house import House, house_at

KINDS = (
    "status", "info", "state", "event", "owner", "req/text", "req/ask", "req/say", "req/cancel",
    "req/audio/start", "req/audio/stop", "audio/up", "req/nothing", "nonsense",
)  # fmt: skip


WRONG = [
    b"{", b'{"text": 5}', b'{"text": "x", "id": "?"}', b"[" * 2000, b"\xa1\x01", b"\xa1" * 5000, b"", b"x" * 70_000,
    b'{"host": "x", "epoch": -1, "until": "y"}', b'{"audio": 5}', b"\xff\xfe", b'{"turn": 1e400}', b"null",
]  # fmt: skip


async def killed(house: House, broker: Broker) -> None:
    """As a power cut does it."""
    if isinstance(broker, Mosquitto):
        broker.kill()
        return
    children = await asyncio.create_subprocess_exec(
        "pgrep", "-P", str(os.getpid()), "-f", "jota_mqtt/broker/child.py", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await children.communicate()
    for line in out.split():
        os.kill(int(line), signal.SIGKILL)


async def test_nodes_come_back_by_themselves_after_the_broker_was_killed(
    broker: Broker, tmp_path: Path
) -> None:
    llm = ScriptedBackend("fine")
    async with house_at(tmp_path, broker, llm) as house:
        async with node_at(broker.port) as node:
            await house.approve()
            assert (await node.ask("hello", "a"))["text"] == "fine"
        await killed(house, broker)
        await asyncio.sleep(1)
        if isinstance(broker, Mosquitto):
            assert not (await house.host.health()).ok
            broker.start()
        async with node_at(broker.port) as node:
            await until_answered(node)
            await until_well(house)
        status, told = await house.rest("GET")
        assert (status, [each["id"] for each in told["nodes"]]) == (200, ["kitchen"])


async def until_well(house: House) -> None:
    for _ in range(400):
        if (await house.host.health()).ok:
            return
        await asyncio.sleep(0.05)
    raise AssertionError((await house.host.health()).sections)


async def until_answered(node: Node) -> None:
    """The host has subscribed again; asked again and again, as a node does."""
    for number in range(100):
        await node.send("req/text", {"id": f"again{number}", "text": "are you there"})
        try:
            await node.end_of(limit_s=0.5)
        except AssertionError:
            continue
        return
    raise AssertionError("nobody answered any more")


async def test_an_answer_that_the_broker_missed_is_given_when_it_is_back(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    llm = ScriptedBackend(Script("It takes a while.", first_s=2.0))
    async with house_at(tmp_path, mosquitto, llm) as house:
        async with node_at(mosquitto.port, clean_session=False) as node:
            await house.approve()
            await node.send("req/text", {"id": "a", "text": "well?"})
            await llm.until_running()
        await asyncio.sleep(1.2)  # the broker saves its sessions every second
        mosquitto.kill()
        await asyncio.sleep(2.5)
        mosquitto.start()
        async with node_at(mosquitto.port, clean_session=False) as node:
            assert (await node.end_of("a"))["text"] == "It takes a while."


async def test_a_memory_that_is_away_is_not_blamed_on_the_broker(broker: Broker, tmp_path: Path) -> None:
    nowhere = {"memory": {"plugin": "jota_db", "store": f"postgresql://jota@127.0.0.1:{free_port()}/jota"}}
    async with house_at(tmp_path, broker, ScriptedBackend("fine"), sections=nowhere) as house:
        for _ in range(100):
            report = await house.health()
            if "nodes are not known" in report.detail:
                break
            await asyncio.sleep(0.05)
        assert "nodes are not known" in report.detail
        assert not report.hint


async def test_noise_leaves_the_door_serving(broker: Broker, tmp_path: Path) -> None:
    noise = random.Random(7)
    some = [*WRONG, *(noise.randbytes(noise.randrange(200)) for _ in range(100))]
    async with (
        house_at(tmp_path, broker, ScriptedBackend("fine")) as house,
        node_at(broker.port, "hall") as node,
        node_at(broker.port, "noisy", topics=("res/none",)) as noisy,
    ):
        await house.approve("hall", "noisy")
        for _ in range(1000):
            qos, kept = noise.choice((0, 1)), noise.random() < 0.02
            await noisy.send(noise.choice(KINDS), noise.choice(some), qos=qos, retain=kept)
        for strange in ("jota/v1/nodes/UPPER/req/text", "jota/v1/nodes//req/text", "jota/v1/host//status"):
            await noisy.client.publish(strange, b"x", 1)
        assert (await node.ask("hello", "a", limit_s=60))["text"] == "fine"
        await until_well(house)


async def test_strangers_without_number_are_bounded(broker: Broker, tmp_path: Path) -> None:
    async with (
        house_at(tmp_path, broker, ScriptedBackend("fine"), max_nodes=20) as house,
        node_at(broker.port) as node,
    ):
        await house.approve()
        for number in range(100):
            await node.client.publish(f"jota/v1/nodes/stranger-{number}/req/text", b"hello", 1)
        assert (await node.ask("hello", "a"))["text"] == "fine"
        assert len((await house.rest("GET"))[1]["nodes"]) == 20


async def test_two_devices_with_one_id_are_noticed_and_cut_no_answer(broker: Broker, tmp_path: Path) -> None:
    llm = ScriptedBackend(Script("one two three four five six", between_s=0.1))
    async with house_at(tmp_path, broker, llm) as house, node_at(broker.port) as node:
        await house.approve()
        await node.send("req/text", {"id": "a", "text": "count"})
        for number in range(8):
            await node.send("info", {"name": "Kitchen", "hardware": f"esp{number % 2}"}, retain=True)
        assert (await node.end_of("a"))["outcome"] == "complete"
        assert (await house.shown())["is_two"]


async def test_a_broker_that_does_not_know_us_is_for_the_user_to_mend(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    mosquitto.kill()
    strict = Mosquitto(tmp_path / "strict", anonymous=False)
    strict.start()
    try:
        async with house_at(tmp_path / "host", strict, ScriptedBackend("fine")) as house:
            for _ in range(100):
                report = await house.health()
                if report.state == "failed":
                    break
                await asyncio.sleep(0.05)
            assert report.state == "failed"
            assert "`username:`" in report.detail
    finally:
        strict.kill()


async def test_the_port_of_the_box_may_be_taken(tmp_path: Path, mosquitto: Mosquitto) -> None:
    box = Box()
    box.port = mosquitto.port
    async with house_at(tmp_path / "host", box, ScriptedBackend("fine")) as house:
        for _ in range(100):
            if not (await house.host.health()).ok:
                break
            await asyncio.sleep(0.05)
        assert "is taken by another program" in (await house.health()).detail


async def test_the_box_with_a_password_lets_nobody_else_in(tmp_path: Path) -> None:
    box = Box()
    async with house_at(tmp_path, box, ScriptedBackend("fine"), anonymous=False) as house:
        await house.until_open()
        file = house.host.config.data / "mqtt" / "broker.toml"
        assert file.stat().st_mode & 0o077 == 0
        password = file.read_text().rpartition('jota = "')[2].rstrip('"\n')
        async with node_at(box.port, username="jota", password=password) as node:
            await house.approve()
            assert (await node.ask("hello", "a"))["text"] == "fine"
        with pytest.raises(MqttError):
            async with Client("127.0.0.1", box.port, timeout=2, username="jota", password="wrong"):
                pass
