"""Real brokers, and nodes as anybody could write them: the tests of every kind run against both brokers."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiomqtt import Client, Message, MqttError, ProtocolVersion, Will

from jota_core.testing.hosts import free_port

LIMIT_S = 20.0
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
NO_MOSQUITTO = "Mosquitto is not installed (Debian, Ubuntu: sudo apt install mosquitto)"
CONFIG = """listener {port} 127.0.0.1
allow_anonymous {anonymous}
user {user}
set_tcp_nodelay true
max_inflight_messages 1000
persistence true
persistence_location {folder}/
autosave_interval 1
{more}
"""


class Mosquitto:
    """One broker of the supported kind; `kill` and `start` again keep its folder."""

    def __init__(self, folder: Path, *, more: str = "", anonymous: bool = True) -> None:
        self.port = free_port()
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        self.config = folder / "mosquitto.conf"
        word = "true" if anonymous else "false"
        self.config.write_text(
            CONFIG.format(port=self.port, folder=folder, more=more, anonymous=word, user=getpass.getuser())
        )

    def start(self) -> None:
        """Listening when this returns."""
        assert MOSQUITTO is not None
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([MOSQUITTO, "-c", str(self.config)], stdout=log, stderr=log)
        end = time.monotonic() + LIMIT_S
        while not listens(self.port):
            assert time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """As a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def reload(self) -> None:
        """Read the password file again."""
        assert self._process is not None
        self._process.send_signal(1)

    @property
    def section(self) -> dict[str, Any]:
        """What jota.yaml says of it."""
        return {"plugin": "jota_mqtt", "broker": f"mqtt://127.0.0.1:{self.port}"}


class Box:
    """The broker in the box: the host under test starts it."""

    def __init__(self) -> None:
        self.port = free_port()

    @property
    def section(self) -> dict[str, Any]:
        """What jota.yaml says of it."""
        return {"plugin": "jota_mqtt", "broker": f"mqtt://127.0.0.1:{self.port}", "embedded": True}


Broker = Mosquitto | Box


def listens(port: int) -> bool:
    import socket

    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
    except OSError:
        return False
    return True


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running Mosquitto of the test's own."""
    if MOSQUITTO is None:
        pytest.skip(NO_MOSQUITTO)
    broker = Mosquitto(tmp_path / "mosquitto")
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(params=["box", "mosquitto"])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each kind of broker in turn."""
    return Box() if request.param == "box" else request.getfixturevalue("mosquitto")


class Node:
    """A node of a stranger's making: a plain MQTT client that remembers what it was sent."""

    def __init__(self, client: Client, id_: str) -> None:
        self.client = client
        self.id = id_
        self.heard: list[tuple[str, Any]] = []
        self.messages: list[Message] = []
        self._news = asyncio.Event()

    def topic(self, kind: str) -> str:
        return f"jota/v1/nodes/{self.id}/{kind}"

    async def listen(self) -> None:
        try:
            async for message in self.client.messages:
                kind = message.topic.value.removeprefix(self.topic(""))
                payload = bytes(message.payload)
                self.messages.append(message)
                self.heard.append((kind, payload if kind == "audio/down" else read(payload)))
                self._news.set()
        except MqttError:
            pass  # the broker went away, which the test wanted

    async def send(self, kind: str, body: object, qos: int = 1, **more: Any) -> None:
        payload = body if isinstance(body, str | bytes) else orjson.dumps(body)
        await self.client.publish(self.topic(kind), payload, qos, **more)

    async def got(self, what: Callable[[str, Any], bool], limit_s: float = LIMIT_S) -> Any:
        """The first message that it has been sent, or will be, of which this holds."""
        end = time.monotonic() + limit_s
        while True:
            for kind, body in self.heard:
                if what(kind, body):
                    return body
            self._news.clear()
            left = end - time.monotonic()
            assert left > 0, f"it never came; heard: {[(kind, str(body)[:80]) for kind, body in self.heard]}"
            try:
                await asyncio.wait_for(self._news.wait(), min(left, 0.5))
            except TimeoutError:
                pass  # looked at the limit again

    async def end_of(self, id_: str | None = None, limit_s: float = LIMIT_S) -> Any:
        """The final or the error of a request."""
        ends = ("res/final", "res/error")
        return await self.got(
            lambda kind, body: kind in ends and (id_ is None or body.get("id") == id_), limit_s
        )

    async def ask(self, text: str, id_: str, limit_s: float = LIMIT_S) -> Any:
        await self.send("req/text", {"id": id_, "text": text})
        return await self.end_of(id_, limit_s)

    def all(self, kind: str) -> list[Any]:
        return [body for each, body in self.heard if each == kind]


def read(payload: bytes) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return payload.decode(errors="replace")


@asynccontextmanager
async def node_at(
    port: int, id_: str = "kitchen", *, modern: bool = False, topics: tuple[str, ...] = ("#",), **more: Any
) -> AsyncIterator[Node]:
    """A node that is connected to the broker there, as soon as that listens."""
    end = time.monotonic() + LIMIT_S
    while not listens(port):
        assert time.monotonic() < end, "no broker came"
        await asyncio.sleep(0.05)
    version = ProtocolVersion.V5 if modern else ProtocolVersion.V311
    will = Will(f"jota/v1/nodes/{id_}/status", "offline", 1, retain=True)
    more = {"identifier": f"test-{id_}", "protocol": version, "timeout": LIMIT_S, "will": will, **more}
    async with Client("127.0.0.1", port, **more) as client:
        node = Node(client, id_)
        for topic in topics:
            await client.subscribe(node.topic(topic), qos=1)
        listening = asyncio.ensure_future(node.listen())
        try:
            yield node
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
