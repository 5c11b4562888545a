"""Two hosts, as processes, on one Mosquitto and one PostgreSQL: one is killed, the other serves its nodes."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from benchmarks.postgres import PostgresServer
from jota_core.testing import free_port

from .conftest import Mosquitto, Node, node_at

KILLS = int(os.environ.get("JOTA_KILLS", "4"))
NODES = [f"n{number}" for number in range(6)]
LIMIT_S = 60.0
YAML = """
host: {data: ./data, drain_s: 2}
plugins:
  memory: {plugin: jota_db, store: "%s"}
  llm: {plugin: jota_echo, delay_s: 0.03}
  app: {plugin: jota_http, listen: "127.0.0.1:%d"}
  nodes: {plugin: jota_mqtt, broker: "mqtt://127.0.0.1:%d", host: %s}
"""


class Host:
    """One `jota run`, killed and started again."""

    def __init__(self, folder: Path, name: str, store: str, broker: int) -> None:
        self.name = name
        self.port = free_port()
        self._folder = folder / name
        self._folder.mkdir()
        (self._folder / "jota.yaml").write_text(YAML % (store, self.port, broker, name))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("JOTA_")}
        command = [sys.executable, "-m", "jota_core.cli", "run"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, env=environ, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def rest(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        url, headers = f"http://127.0.0.1:{self.port}{path}", {"content-type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(url, data, headers, method=method), timeout=20
        ) as told:
            return json.load(told)

    async def until_up(self) -> None:
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                await asyncio.to_thread(self.rest, "GET", "/api/v1/nodes")
            except OSError:
                assert time.monotonic() < end, (self._folder / "log").read_text()[-2000:]
                await asyncio.sleep(0.1)
            else:
                return


@pytest.fixture
def hosts(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[list[Host]]:
    with PostgresServer() as server:
        store = server.create("jota")
        found = [Host(tmp_path, name, store, mosquitto.port) for name in ("one", "two")]
        yield found
        for host in found:
            host.kill()


async def served_by(node: Node) -> str:
    owner = await node.got(lambda kind, _: kind == "owner")
    newest = [body for kind, body in node.heard if kind == "owner"]
    return str(max(newest, key=lambda body: body["epoch"])["host"] if newest else owner["host"])


async def ask_on(node: Node, over: asyncio.Event, asked: list[str]) -> None:
    """One request after the other, each waited for."""
    while not over.is_set():
        asked.append(id_ := f"q{len(asked)}")
        await node.send("req/text", {"id": id_, "text": f"{node.id} says {id_} with a few more words"})
        await node.end_of(id_, LIMIT_S)


async def test_a_killed_host_loses_no_request_and_none_runs_twice(
    hosts: list[Host], mosquitto: Mosquitto
) -> None:
    chance = random.Random(5)
    for host in hosts:
        host.start()
    for host in hosts:
        await host.until_up()
    for name in NODES:
        await asyncio.to_thread(hosts[0].rest, "POST", f"/api/v1/nodes/{name}/approve", {})
    asked: dict[str, list[str]] = {name: [] for name in NODES}
    over = asyncio.Event()
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        nodes = [await stack.enter_async_context(node_at(mosquitto.port, name)) for name in NODES]
        for node in nodes:
            group.create_task(ask_on(node, over, asked[node.id]))
        try:
            for _ in range(KILLS):
                await asyncio.sleep(chance.uniform(0.5, 1.5))
                victim = await served_by(chance.choice(nodes))
                host = next(each for each in hosts if each.name == victim)
                await asyncio.to_thread(host.kill)
                await asyncio.sleep(2)
                for node in nodes:
                    assert await served_by(node) != victim
                host.start()
                await host.until_up()
        finally:
            over.set()
    for node in nodes:
        assert [id_ for id_ in asked[node.id] if not any(answers(node, id_))] == []
        shown = (await asyncio.to_thread(hosts[0].rest, "GET", f"/api/v1/nodes/{node.id}"))["node"]
        stored = await asyncio.to_thread(
            hosts[0].rest, "GET", f"/api/v1/conversations/{shown['conversation_id']}/messages?limit=200"
        )
        questions = [each["turn_id"] for each in stored["messages"] if each["role"] == "user"]
        assert sorted(questions) == sorted(f"{node.id}:{id_}" for id_ in asked[node.id][-len(questions) :])
        assert len(questions) == min(len(asked[node.id]), 100)


def answers(node: Node, id_: str) -> Iterator[Any]:
    for kind, body in node.heard:
        if kind in ("res/final", "res/error") and body["id"] == id_:
            yield body
