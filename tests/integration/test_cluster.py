"""Two orchestrators on one PostgreSQL serve one conversation; `config/cluster.yaml`, with `jota_echo` as the model.

`JOTA_KILLS` says how often one of them, or the database, is killed (8).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import time
import urllib.error
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen
from typing import Any

import asyncpg
import pytest

from benchmarks.postgres import PostgresServer
from jota_core.testing import free_port

from .conftest import Place

KILLS = int(os.environ.get("JOTA_KILLS", "8"))
ECHO = """
host: {data: ./data, drain_s: 2}
plugins:
  memory: {plugin: jota_db, store: "%s"}
  llm: {plugin: jota_echo, delay_s: 0.02}
  app: {plugin: jota_http, listen: "127.0.0.1:%d"}
"""


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def places(tmp_path: Path, server: PostgresServer) -> list[Place]:
    store, found = server.create("jota"), []
    for name in ("one", "two"):
        place = Place(tmp_path / name, free_port())
        place.folder.mkdir()
        (place.folder / "jota.yaml").write_text(ECHO % (store, place.port))
        found.append(place)
    return found


class Fleet:
    """Both hosts as processes; one can be killed and started again."""

    def __init__(self, places: list[Place], stack: ExitStack) -> None:
        self.places = places
        self._stack = stack
        self._processes: dict[int, Popen[str]] = {}

    def start(self, index: int) -> None:
        self._processes[index] = self._stack.enter_context(self.places[index].running())
        self.places[index].health()

    def kill(self, index: int) -> None:
        self._processes[index].kill()
        self._processes[index].communicate(timeout=10)


def messages(place: Place, conversation: int) -> list[dict[str, Any]]:
    """All of a conversation, oldest first."""
    path, found = f"/api/v1/conversations/{conversation}/messages?user_id=ana&limit=200", list[Any]()
    page = place.get(path)["messages"]
    while page:
        found = page + found
        page = place.get(f"{path}&before={page[0]['id']}")["messages"]
    return found


def test_nothing_acknowledged_is_missing_whoever_is_killed_and_when(
    places: list[Place], server: PostgresServer
) -> None:
    chance = random.Random(4711)
    with ExitStack() as stack:
        fleet, answered = Fleet(places, stack), list[tuple[str, str]]()
        for index in (0, 1):
            fleet.start(index)
        conversation = 0
        for number in range(KILLS):
            victim = number % 2
            killer = threading.Timer(chance.uniform(0.05, 0.6), fleet.kill, [victim])
            killer.start()
            for turn in range(12):
                text = f"turn {number}.{turn} " + "word " * 5
                try:
                    told = places[turn % 2].chat(text)
                except (OSError, urllib.error.URLError):
                    continue  # nothing was acknowledged
                conversation = told["conversation_id"]
                answered.append((text, told["response"]))
            killer.join()
            fleet.start(victim)
            _is_all_there(server, places, conversation, answered)


def test_nothing_acknowledged_is_missing_when_the_database_is_killed(
    places: list[Place], server: PostgresServer
) -> None:
    chance = random.Random(4711)
    with ExitStack() as stack:
        fleet, answered, failed = Fleet(places, stack), list[tuple[str, str]](), set[str]()
        for index in (0, 1):
            fleet.start(index)
        conversation = places[0].chat("hello")["conversation_id"]
        for number in range(KILLS):
            killer = threading.Timer(chance.uniform(0.05, 0.8), server.kill)
            killer.start()
            for turn in range(8):
                text = f"turn {number}.{turn} " + "word " * 5
                try:
                    told = places[turn % 2].chat(text)
                except urllib.error.HTTPError as refused:
                    with refused:
                        assert refused.code == 503
                        failed.add(json.load(refused).get("turn_id", ""))
                    continue
                if told["status"] == "success" and told["persisted"]:
                    conversation = told["conversation_id"]
                    answered.append((text, told["response"]))
            killer.join()
            server.start()
            for place in places:
                place.health()
            _is_all_there(server, places, conversation, answered, failed)
        assert len(answered) > KILLS


def _running(server: PostgresServer) -> int:
    """Turns that nobody has ended yet."""

    async def count() -> int:
        db = await asyncpg.connect(server.url("jota"))
        try:
            return int(await db.fetchval("SELECT count(*) FROM turns WHERE state = 'running'"))
        finally:
            await db.close()

    return asyncio.run(count())


def _unanswered(stored: list[dict[str, Any]]) -> set[str]:
    """Turns of which there is nothing but the question."""
    return {message["turn_id"] for message in stored} - {
        message["turn_id"] for message in stored if message["outcome"] is not None
    }


def _is_all_there(
    server: PostgresServer, places: list[Place], conversation: int, answered: list[tuple[str, str]],
    failed: Collection[str] = (),
) -> None:  # fmt: skip
    """Each acknowledged turn once, in order, on both hosts; every other one is ended or marked within seconds.

    A question stands alone where the app was told that its turn `failed` before the first word.
    """
    until, stored = time.monotonic() + 30, [messages(place, conversation) for place in places]
    # What is marked may still get its real end.
    while (
        (running := _running(server)) or stored[0] != stored[1] or not _unanswered(stored[0]) <= set(failed)
    ):
        assert time.monotonic() < until, f"{running} cut turns were not marked, or lost their end: {stored}"
        time.sleep(0.2)
        stored = [messages(place, conversation) for place in places]
    questions = [message["content"].strip() for message in stored[0] if message["role"] == "user"]
    assert len(questions) == len(set(questions)), "something is there twice"
    turns = {message["turn_id"]: message["content"] for message in stored[0] if message["role"] == "user"}
    whole = [
        (turns[message["turn_id"]].strip(), message["content"])
        for message in stored[0]
        if message["outcome"] == "complete"
    ]
    asked = [(text.strip(), content) for text, content in answered]
    assert [turn for turn in whole if turn in asked] == asked
