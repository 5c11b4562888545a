"""Nodes as things: Home Assistant finds them, Mosquitto lets in only those that it knows, commands of people."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiomqtt import Client, MqttError

from jota_core.testing import ScriptedBackend
from jota_mqtt.nodes.passwords import line

from .conftest import MOSQUITTO, NO_MOSQUITTO, Broker, Mosquitto, node_at
from .house import House, house_at

CONFIG = Path(__file__).parents[3] / "config" / "mosquitto"
# What Home Assistant's documentation lists for MQTT: of every entity, and of these platforms.
ENTITY = {
    "platform", "unique_id", "name", "icon", "device_class", "value_template", "state_topic", "command_topic",
    "qos", "availability", "entity_category", "default_entity_id", "enabled_by_default",
}  # fmt: skip
PLATFORMS = {
    "sensor": ENTITY | {"options", "unit_of_measurement", "expire_after", "force_update"},
    "number": ENTITY
    | {"min", "max", "step", "mode", "unit_of_measurement", "command_template", "optimistic"},
    "switch": ENTITY | {"payload_on", "payload_off", "state_on", "state_off", "optimistic"},
    "notify": ENTITY | {"command_template"},
}
DEVICE = {
    "identifiers", "name", "manufacturer", "model", "model_id", "sw_version", "hw_version", "suggested_area",
    "serial_number", "connections", "configuration_url", "via_device",
}  # fmt: skip
ROOT = {"device", "origin", "components", "availability", "state_topic", "command_topic", "qos", "encoding"}


async def documents(port: int, wanted: int) -> dict[str, Any]:
    """What the broker keeps for Home Assistant, once it is so many documents."""
    import orjson

    found: dict[str, Any] = {}
    async with Client("127.0.0.1", port, identifier="homeassistant", timeout=20) as home:
        await home.subscribe("homeassistant/device/+/config", qos=1)
        async with asyncio.timeout(20):
            async for message in home.messages:
                payload = bytes(message.payload)
                found[message.topic.value] = orjson.loads(payload) if payload else None
                if sum(each is not None for each in found.values()) == wanted:
                    return found
    raise AssertionError("not reached")


async def test_home_assistant_finds_nodes_by_itself(broker: Broker, tmp_path: Path) -> None:
    async with house_at(tmp_path, broker, ScriptedBackend("fine")) as house, node_at(broker.port) as node:
        await house.approve()
        await node.send("info", {"name": "Kitchen", "area": "Ground floor", "hardware": "esp32"}, retain=True)
        await node.ask("hello", "a")
        told = (await documents(broker.port, 1))["homeassistant/device/jota_kitchen/config"]
        check_document(told)
        assert told["device"]["name"] == "Kitchen"
        assert told["components"]["say"]["command_topic"] == node.topic("req/say")
        assert told["availability"][0]["topic"] == node.topic("status")
        await node.client.publish(told["components"]["say"]["command_topic"], "Dinner!", 1)
        assert (await node.got(lambda kind, body: kind == "res/final" and body["text"] == "Dinner!"))["turn"]


def check_document(told: dict[str, Any]) -> None:
    assert told.keys() <= ROOT
    assert {"device", "origin", "components"} <= told.keys()
    assert told["origin"]["name"]
    assert told["device"].keys() <= DEVICE
    assert told["device"]["identifiers"]
    ids = [each["unique_id"] for each in told["components"].values()]
    assert len(set(ids)) == len(ids)
    for each in told["components"].values():
        assert each.keys() <= PLATFORMS[each["platform"]], each
        if each["platform"] in ("number", "switch", "notify"):
            assert each["command_topic"]


async def test_home_assistant_is_told_again_when_it_starts_and_when_a_node_goes(
    broker: Broker, tmp_path: Path
) -> None:
    async with house_at(tmp_path, broker, ScriptedBackend("fine")) as house, node_at(broker.port) as node:
        await house.approve()
        await node.ask("hello", "a")
        await documents(broker.port, 1)
        await node.client.publish(
            "homeassistant/device/jota_kitchen/config", b"", 1, retain=True
        )  # it lost it
        await node.client.publish("homeassistant/status", b"online", 1)
        await documents(broker.port, 1)
        assert (await house.rest("DELETE", "kitchen"))[0] == 200
        async with Client("127.0.0.1", broker.port, identifier="late", timeout=20) as home:
            for _ in range(50):
                await home.subscribe("homeassistant/device/+/config", qos=1)
                await asyncio.sleep(0.1)
                if not len(home.messages):
                    break
                while len(home.messages):
                    await anext(aiter(home.messages))
            else:
                raise AssertionError("the removed node stands there still")


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Mosquitto]:
    """Mosquitto as config/mosquitto says, with paths of the test's own."""
    if MOSQUITTO is None:
        pytest.skip(NO_MOSQUITTO)
    folder = tmp_path / "strict"
    folder.mkdir()
    (folder / "jota.passwd").write_text(line("jota", "secret") + "\n")
    (folder / "jota.acl").write_text((CONFIG / "jota.acl").read_text())
    (folder / "jota.passwd").chmod(0o640)
    (folder / "jota.acl").chmod(0o640)
    more = f"password_file {folder}/jota.passwd\nacl_file {folder}/jota.acl"
    broker = Mosquitto(folder, more=more, anonymous=False)
    broker.start()
    yield broker
    broker.kill()


async def test_with_mosquitto_each_node_has_a_password_and_its_own_topics(
    strict: Mosquitto, tmp_path: Path
) -> None:
    file = strict.folder / "jota.passwd"
    login: dict[str, Any] = {
        "username": "jota",
        "password": {"env": "BROKER_PASSWORD"},
        "password_file": str(file),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROKER_PASSWORD", "secret")
        async with house_at(tmp_path / "host", strict, ScriptedBackend("fine"), **login) as house:
            await house.until_open()
            told = (await house.rest("POST", "kitchen/approve", {}))[1]
            strict.reload()
            own = {"username": told["username"], "password": told["password"]}
            async with node_at(strict.port, **own) as node:
                assert (await node.ask("hello", "a"))["text"] == "fine"
                assert (await house.rest("POST", "hall/approve", {}))[0] == 200
                await node.client.publish("jota/v1/nodes/hall/req/text", "let me in", 1)
                assert (await node.ask("again", "b"))["text"] == "fine"
                assert (await house.shown("hall"))["last_turn"] is None
            assert (await house.rest("DELETE", "kitchen"))[0] == 200
            strict.reload()
            await asyncio.sleep(0.5)
            with pytest.raises(MqttError):
                async with Client("127.0.0.1", strict.port, timeout=5, **own):
                    pass
    assert "kitchen" not in file.read_text()


async def test_people_look_after_nodes_by_commands(broker: Broker, tmp_path: Path) -> None:
    async with house_at(tmp_path, broker, ScriptedBackend("fine")) as house, node_at(broker.port) as node:
        await house.until_open()
        assert "No node has come yet" in (await jota(house, "nodes", "list"))[1]
        code = (await node.ask("hello", "a"))["pairing_code"]
        listed = (await jota(house, "nodes", "list"))[1]
        assert "waits for approval" in listed
        assert code in listed
        refused, _, why = await jota(house, "nodes", "approve", "kitchen", "12")
        assert (refused, "another code" in why) == (1, True)
        code = (await node.ask("hello", "b"))["pairing_code"]
        assert (await jota(house, "nodes", "approve", "kitchen", code))[:2] == (0, "kitchen is approved.\n")
        assert (await jota(house, "nodes", "rename", "kitchen", "Küche"))[0] == 0
        assert "Küche" in (await jota(house, "nodes", "show", "kitchen"))[1]
        assert (await jota(house, "nodes", "say", "kitchen", "Dinner", "is", "ready"))[0] == 0
        await node.got(lambda kind, body: kind == "res/final" and body["text"] == "Dinner is ready")
        assert (await jota(house, "nodes", "ask", "kitchen", "Pasta?"))[0] == 0
        await node.got(lambda kind, _: kind == "cmd/listen")
        assert (await jota(house, "nodes", "revoke", "kitchen"))[0] == 0
        missing = await jota(house, "nodes", "show", "kitchen")
        assert (missing[0], "There is no node 'kitchen'" in missing[2]) == (1, True)


async def test_a_terminal_is_a_node(broker: Broker, tmp_path: Path) -> None:
    async with house_at(tmp_path, broker, ScriptedBackend("It is noon.")) as house:
        await house.approve("terminal")
        place = ["--broker", f"mqtt://127.0.0.1:{broker.port}"]
        code, out, error = await called("node", "--id", "terminal", *place, given="what time is it\n")
        assert (code, out) == (0, "It is noon.\n"), error
        code, _, error = await called("node", "--id", "stranger", *place, given="hello\n")
        assert (code, "jota nodes approve stranger" in error) == (1, True)
        code, _, error = await called("node", "--broker", "mqtt://127.0.0.1:1", given="hello\n")
        assert (code, "cannot be used" in error) == (1, True)


async def test_without_a_jota_commands_say_so() -> None:
    code, _, error = await called("nodes", "list", "--url", "http://127.0.0.1:1")
    assert (code, "No Jota answers at" in error) == (1, True)


async def jota(house: House, *arguments: str) -> tuple[int, str, str]:
    return await called(*arguments[:2], *arguments[2:], "--url", house.url)


async def called(*arguments: str, given: str = "") -> tuple[int, str, str]:
    command = [sys.executable, "-m", "jota_core.cli", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, error = await process.communicate(given.encode())
    return process.returncode or 0, out.decode(), error.decode()
