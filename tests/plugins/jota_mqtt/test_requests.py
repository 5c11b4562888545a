"""Requests of nodes over both brokers: asked, answered, once each, approved first."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiomqtt import Client
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from jota_core.testing import Script, ScriptedBackend

from .conftest import Broker, Mosquitto, node_at
from .house import house_at


async def test_a_stranger_is_told_how_to_become_a_node(broker: Broker, tmp_path: Path) -> None:
    llm = ScriptedBackend("Hello there.")
    async with house_at(tmp_path, broker, llm) as house, node_at(broker.port) as node:
        await house.until_open()
        refused = await node.ask("hello", "one")
        assert (refused["code"], len(refused["pairing_code"])) == ("forbidden", 6)
        assert f"jota nodes approve kitchen {refused['pairing_code']}" in refused["message"]
        assert not llm.requests
        assert (await house.shown())["pairing_code"] == refused["pairing_code"]
        assert (await house.rest("POST", "kitchen/approve", {"code": "000000"}))[0] in (403, 200)
        again = await node.ask("hello", "two")
        told = await house.rest("POST", "kitchen/approve", {"code": again["pairing_code"]})
        assert told[0] == 200
        assert (await node.ask("hello", "three"))["text"] == "Hello there."


async def test_plain_text_is_all_that_a_button_needs(broker: Broker, tmp_path: Path) -> None:
    async with (
        house_at(tmp_path, broker, ScriptedBackend("It is noon.")) as house,
        node_at(broker.port) as node,
    ):
        await house.approve()
        await node.send("req/text", "what time is it")
        final = await node.end_of()
        assert (final["text"], final["outcome"], final["persisted"]) == ("It is noon.", "complete", True)
        assert "".join(each["text"] for each in node.all("res/delta")) == "It is noon."
        shown = await house.shown()
        assert shown["last_turn"]["outcome"] == "complete"
        assert shown["conversation_id"] == final["conversation_id"]


async def test_a_request_with_an_id_runs_once(broker: Broker, tmp_path: Path) -> None:
    llm = ScriptedBackend("First.", "Second.")
    async with house_at(tmp_path, broker, llm) as house, node_at(broker.port) as node:
        await house.approve()
        assert (await node.ask("count", "a"))["text"] == "First."
        node.heard.clear()
        assert (await node.ask("count", "a"))["text"] == "First."
        assert len(llm.requests) == 1
        assert (await node.ask("count", "b"))["text"] == "Second."


async def test_it_is_the_same_request_after_a_restart_of_the_host(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    llm = ScriptedBackend("First.", "Second.")
    async with node_at(mosquitto.port) as node:
        async with house_at(tmp_path, mosquitto, llm, host="h") as house:
            await house.approve()
            assert (await node.ask("count", "a"))["text"] == "First."
        await node.send("req/text", {"id": "b", "text": "while you were away"})
        node.heard.clear()
        async with house_at(tmp_path, mosquitto, llm, host="h") as house:
            assert (await node.end_of("b"))["text"] == "Second."
            assert (await node.ask("count", "a"))["text"] == "First."
            assert len(llm.requests) == 2
            assert (await house.shown())["approved"]


async def test_a_text_without_an_id_that_the_broker_brings_again_runs_once(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    llm = ScriptedBackend("First.", "Second.")
    async with node_at(mosquitto.port) as node:
        async with house_at(tmp_path, mosquitto, llm, host="h") as house:
            await house.approve()
            await node.send("req/text", "count")
            assert (await node.end_of())["text"] == "First."
        node.heard.clear()
        await node.send("req/text", "count")  # what a broker does with one that was not acknowledged
        async with house_at(tmp_path, mosquitto, llm, host="h"):
            assert (await node.end_of())["text"] == "First."
            assert len(llm.requests) == 1


async def test_an_answer_goes_where_mqtt_5_says(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with (
        house_at(tmp_path, mosquitto, ScriptedBackend("Yes.")) as house,
        node_at(mosquitto.port, modern=True) as node,
        Client("127.0.0.1", mosquitto.port, identifier="flow") as flow,
    ):
        await house.approve()
        await flow.subscribe("flows/answers", qos=1)
        wish = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own
        wish.ResponseTopic, wish.CorrelationData = "flows/answers", b"seven"
        await node.send("req/text", "well?", properties=wish)
        message = await asyncio.wait_for(anext(aiter(flow.messages)), 20)
        assert b'"Yes."' in bytes(message.payload)
        assert not node.all("res/final")
        wish.ResponseTopic = "jota/v1/nodes/hall/cmd/volume"
        await node.send("req/text", "well?", properties=wish)
        assert (await node.end_of())["code"] == "forbidden"


async def test_an_answer_carries_the_correlation_of_its_question(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    async with (
        house_at(tmp_path, mosquitto, ScriptedBackend("Yes.")) as house,
        node_at(mosquitto.port, modern=True) as node,
    ):
        await house.approve()
        wish = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own
        wish.ResponseTopic, wish.CorrelationData = node.topic("res/mine"), b"\0seven"
        await node.send("req/text", "well?", properties=wish)
        await node.got(lambda kind, _: kind == "res/mine")
        answer = next(each for each in node.messages if each.topic.value.endswith("res/mine"))
        assert getattr(answer.properties, "CorrelationData", None) == b"\0seven"


async def test_a_request_is_cancelled(broker: Broker, tmp_path: Path) -> None:
    llm = ScriptedBackend(Script("one two three", hang_at=2), "fine")
    async with house_at(tmp_path, broker, llm) as house, node_at(broker.port) as node:
        await house.approve()
        await node.send("req/text", {"id": "a", "text": "count"})
        await node.got(lambda kind, _: kind == "res/delta")
        await node.send("req/cancel", {})
        final = await node.end_of("a")
        assert (final["outcome"], final["code"]) == ("interrupted", "cancelled")
        assert final["text"].startswith("one")
        await llm.until_aborted()
        assert (await node.ask("again", "b"))["text"] == "fine"


async def test_more_requests_than_a_node_may_wait_for_are_refused(broker: Broker, tmp_path: Path) -> None:
    llm = ScriptedBackend(Script("one two", first_s=1.0), "fine")
    async with house_at(tmp_path, broker, llm) as house, node_at(broker.port) as node:
        await house.approve()
        for number in range(12):
            await node.send("req/text", {"id": str(number), "text": f"question {number}"})
        for number in range(12):
            await node.end_of(str(number))
        ends = [body for kind, body in node.heard if kind in ("res/final", "res/error")]
        assert len(ends) == 12
        assert sum(each.get("code") == "busy" for each in ends) == 4


async def test_a_kept_request_is_one_of_long_ago(broker: Broker, tmp_path: Path) -> None:
    llm = ScriptedBackend("fine")
    async with house_at(tmp_path, broker, llm) as house, node_at(broker.port) as node:
        await house.approve()
        await node.send("req/text", {"id": "kept", "text": "open the door"}, retain=True)
        assert (await node.end_of("kept"))["text"] == "fine"  # to who listens it is a new one
        assert (await house.rest("PATCH", "kitchen", {"user": "ana"}))[0] == 200
    async with house_at(tmp_path, broker, llm) as house, node_at(broker.port) as node:
        await house.until_open()
        assert (await node.ask("hello", "new"))["text"] == "fine"
        assert len(llm.requests) == 2


async def test_text_is_said_and_asked_through_a_node(broker: Broker, tmp_path: Path) -> None:
    llm = ScriptedBackend("Then it is pasta.")
    async with house_at(tmp_path, broker, llm) as house, node_at(broker.port) as node:
        await house.approve()
        assert (await house.rest("POST", "kitchen/say", {"text": "Dinner is ready."}))[0] == 200
        said = await node.got(lambda kind, body: kind == "res/final")
        assert (said["text"], said["outcome"]) == ("Dinner is ready.", "said")
        assert (await house.rest("POST", "kitchen/ask", {"text": "Pasta or rice?"}))[0] == 200
        await node.got(lambda kind, _: kind == "cmd/listen")
        await node.ask("pasta", "a")
        assert any("Pasta or rice?" in message.content for message in llm.requests[0].messages)
        assert (await house.rest("POST", "nobody/say", {"text": "x"}))[0] == 404


async def test_a_revoked_node_is_a_stranger_again(broker: Broker, tmp_path: Path) -> None:
    async with house_at(tmp_path, broker, ScriptedBackend("fine")) as house, node_at(broker.port) as node:
        await house.approve()
        assert (await node.ask("hello", "a"))["text"] == "fine"
        assert (await house.rest("PATCH", "kitchen", {"name": "Küche", "area": "Ground floor"}))[0] == 200
        assert (await house.shown())["name"] == "Küche"
        assert (await house.rest("DELETE", "kitchen"))[0] == 200
        assert (await node.ask("hello", "b"))["code"] == "forbidden"


async def test_a_node_is_told_its_configuration_and_answers(broker: Broker, tmp_path: Path) -> None:
    async with house_at(tmp_path, broker, ScriptedBackend("fine")) as house, node_at(broker.port) as node:
        await house.approve()
        await node.ask("hello", "a")
        assert (await house.rest("PATCH", "kitchen", {"config": {"volume": 40}}))[0] == 200
        assert await node.got(lambda kind, _: kind == "config") == {"rev": 1, "volume": 40}
        await node.send("state", {"phase": "idle", "cfg_rev": 1}, retain=True)
        for _ in range(200):
            if (await house.shown())["state"].get("cfg_rev") == 1:
                break
            await asyncio.sleep(0.05)
        assert (await house.shown())["config_rev"] == 1


async def test_deployments_of_before_are_answered_where_they_listen(broker: Broker, tmp_path: Path) -> None:
    async with (
        house_at(tmp_path, broker, ScriptedBackend("Hola."), older_topics=True) as house,
        node_at(broker.port) as node,
    ):
        await house.approve()
        await node.client.subscribe("jota/response/kitchen", qos=1)
        await node.client.publish("jota/stt", b'{"client_id": "kitchen", "text": "hola"}', 1)
        assert await node.got(lambda kind, _: kind == "jota/response/kitchen") == "Hola."


async def test_presence_follows_the_will(broker: Broker, tmp_path: Path) -> None:
    async with house_at(tmp_path, broker, ScriptedBackend("fine")) as house:
        async with node_at(broker.port) as node:
            await house.approve()
            await node.send("status", "online", retain=True)
            await node.send("info", {"name": "Kitchen light", "hardware": "esp32"}, retain=True)
            await until_shown(house, "online")
            assert (await house.shown())["name"] == "Kitchen light"
        await until_shown(house, "online")  # it said goodbye, so that its will was not needed
        with lost_cable(broker.port):
            await until_shown(house, "online")
        await until_shown(house, "offline")


async def until_shown(house: object, status: str) -> None:
    shown: dict[str, str] = {}

    async def look() -> bool:
        shown.update(await house.shown())  # type: ignore[attr-defined]
        return shown["status"] == status

    for _ in range(400):
        if await look():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"it never was {status}: {shown}")


@contextmanager
def lost_cable(port: int) -> Iterator[None]:
    """A node that is connected by bare bytes, and whose line breaks at the end."""
    topic, word = b"jota/v1/nodes/kitchen/status", b"offline"
    fields = b"\x00\x04MQTT\x04\x2e\x00\x3c" + packed(b"bare") + packed(topic) + packed(word)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(b"\x10" + bytes([len(fields)]) + fields)
        assert line.recv(4)[:1] == b"\x20"
        body = packed(topic) + b"online"
        line.sendall(b"\x31" + bytes([len(body)]) + body)
        yield
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def packed(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text
