"""`jota run --workers`: real processes, one app door; each of them killed in turn."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen
from typing import Any

import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from benchmarks.postgres import PostgresServer
from jota_core.testing import free_port

from .conftest import Place
from .crew import LONG, ONCE, YAML, Crew, end, running, say, until_token, wait_for

BEARER = "bearer-of-the-test-0123456789"


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the memory is."""
    if request.param == "sqlite":
        yield "sqlite:///jota.db"
        return
    with PostgresServer() as server:
        yield server.create("jota")


@pytest.fixture
def crew(store: str, tmp_path: Path) -> Iterator[Crew]:
    place = Place(tmp_path, free_port())
    (tmp_path / "once.py").write_text(ONCE)
    (tmp_path / "jota.yaml").write_text(YAML.format(store=store, port=place.port, listen=""))
    with running(place) as crew:
        yield crew


def test_one_conversation_through_both_and_one_engine(crew: Crew) -> None:
    one, two = crew.app(1), crew.app(2)
    talks = []
    for number in range(3):
        for socket in (one, two):
            say(socket, f"turn {number}")
            told = end(socket)
            assert told["type"] == "end"
            assert told["persisted"]
            talks.append(told["conversation_id"])
    assert len(set(talks)) == 1
    kept = crew.place.get(f"/api/v1/conversations/{talks[0]}/messages?user_id=ana")["messages"]
    assert len(kept) == 12
    engines = (crew.place.folder / "engines").read_text().split()
    assert engines == [str(crew.workers()[1])]


def test_a_killed_worker_takes_only_its_own_sockets_with_it_and_is_back(crew: Crew) -> None:
    one, two = crew.app(1), crew.app(2, "ben")
    for socket in (one, two):
        say(socket, LONG)
        until_token(socket)
    os.kill(crew.workers()[2], signal.SIGKILL)
    with pytest.raises(ConnectionClosed):
        end(two)
    told = end(one)
    assert told["type"] == "end"
    wait_for(crew.whole, "the worker to be back")
    again = crew.app(2, "ben")
    say(again, "still there?")
    assert end(again)["type"] == "end"


def test_the_first_may_be_killed_too(crew: Crew) -> None:
    two = crew.app(2)
    say(two, "before")
    assert end(two)["persisted"]
    os.kill(crew.workers()[1], signal.SIGKILL)
    say(two, "meanwhile")
    told = end(two)
    assert told["type"] == "end" or told["code"] in (
        "backend_unavailable",
        "upstream_lost",
        "memory_unavailable",
    )
    wait_for(crew.whole, "the first to be back")
    say(two, "after")
    told = end(two)
    assert told["type"] == "end"
    kept = crew.place.get(f"/api/v1/conversations/{told['conversation_id']}/messages?user_id=ana")["messages"]
    said = [each["content"] for each in kept if each["role"] == "user"]
    assert said[0] == "before"
    assert said[-1] == "after"


@pytest.mark.parametrize("victim", [1, 2])
def test_what_was_acknowledged_is_kept_whoever_is_killed(crew: Crew, victim: int) -> None:
    apps = [crew.app(number, f"user{index}") for index, number in enumerate((1, 1, 2, 2))]
    kept: dict[int, list[str]] = {index: [] for index in range(len(apps))}
    talks: dict[int, str] = {}

    def talk(index: int) -> None:
        """Until the socket ends, or for so many turns; what is said to be kept is noted."""
        for number in range(60):
            try:
                say(apps[index], f"{index} says {number}")
                told = end(apps[index])
            except ConnectionClosed:
                return
            if told["type"] == "end" and told["persisted"]:
                kept[index].append(f"{index} says {number}")
                talks[index] = told["conversation_id"]

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(talk, index) for index in kept]
        wait_for(lambda: all(len(each) > 5 for each in kept.values()), "some turns of everybody")
        os.kill(crew.workers()[victim], signal.SIGKILL)
        for each in running:
            each.result(60)
    wait_for(crew.whole, "both workers")
    survivors = [index for index, number in enumerate((1, 1, 2, 2)) if number != victim]
    assert all(end_of_turn(apps[index])["persisted"] for index in survivors)
    for index, said in kept.items():
        path = f"/api/v1/conversations/{talks[index]}/messages?user_id=user{index}&limit=200"
        wait_for(lambda path=path, said=said: set(said) <= of_user(crew, path), f"{len(said)} turns")  # type: ignore[misc]


def end_of_turn(socket: ClientConnection) -> dict[str, Any]:
    say(socket, "and now?")
    return end(socket)


def of_user(crew: Crew, path: str) -> set[str]:
    """What the user said, of a conversation."""
    return {each["content"] for each in crew.place.get(path)["messages"] if each["role"] == "user"}


def test_nodes_are_at_the_first_only(tmp_path: Path) -> None:
    place, broker = Place(tmp_path, free_port()), free_port()
    (tmp_path / "once.py").write_text(ONCE)
    yaml = YAML.format(store="sqlite:///jota.db", port=place.port, listen="")
    nodes = f'  nodes: {{plugin: jota_mqtt, embedded: true, broker: "mqtt://127.0.0.1:{broker}"}}\n'
    (tmp_path / "jota.yaml").write_text(yaml + nodes)
    with running(place) as crew:
        reports = {(told := place.get("/health"))["worker"]: told for _ in range(40)}
        sections = {
            number: [each["section"] for each in told["sections"]] for number, told in reports.items()
        }
        assert "nodes" in sections[1]
        assert sections[2] == ["memory", "llm", "app"]
        family = {
            number: [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            for number, pid in crew.workers().items()
        }
        at_broker = {
            number: [
                line
                for each in processes
                for line in each.net_connections("tcp")
                if line.laddr.port == broker
            ]
            for number, processes in family.items()
        }
        assert at_broker[1]
        assert not at_broker[2]


def service_stop(manager: Popen[str]) -> None:
    """As a service is stopped."""
    manager.terminate()


def ctrl_c(manager: Popen[str]) -> None:
    """As a terminal tells it: everybody of the job hears it."""
    os.killpg(manager.pid, signal.SIGINT)


@pytest.mark.parametrize("stop", [service_stop, ctrl_c])
def test_a_stop_lets_answers_end(crew: Crew, stop: Callable[[Popen[str]], None]) -> None:
    sockets = [crew.app(1), crew.app(2, "ben")]
    for socket in sockets:
        say(socket, " ".join(LONG.split()[:60]))
        until_token(socket)
    stop(crew.manager)
    for socket in sockets:
        told = end(socket)
        assert told["type"] == "end" or told["code"] == "server_restart"
        assert told.get("persisted", True)
    assert crew.manager.wait(20) == 0


def test_a_second_ctrl_c_ends_all_at_once(crew: Crew) -> None:
    sockets = [crew.app(1), crew.app(2, "ben")]
    for socket in sockets:
        say(socket, LONG)
        until_token(socket)
    workers = list(crew.workers().values())
    ctrl_c(crew.manager)
    time.sleep(0.2)
    began = time.monotonic()
    ctrl_c(crew.manager)
    assert crew.manager.wait(10) == 130
    assert time.monotonic() - began < 2
    assert not any(psutil.pid_exists(each) for each in workers)


def test_a_reminder_reaches_its_owner_wherever_he_is(tmp_path: Path, store: str) -> None:
    """Once at each of his apps, however long it is."""
    place, rest = Place(tmp_path, free_port()), free_port()
    (tmp_path / "once.py").write_text(ONCE)
    listen = f', listen: "127.0.0.1:{rest}", key: {BEARER}'
    (tmp_path / "jota.yaml").write_text(YAML.format(store=store, port=place.port, listen=listen))
    message = "tea " * 50_000
    with running(place) as crew:
        sockets = [crew.app(1), crew.app(2)]
        at = datetime.now(UTC) + timedelta(seconds=1)
        body = json.dumps({"message": message, "trigger_at": at.isoformat()}).encode()
        headers = {"Authorization": f"Bearer {BEARER}", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"http://127.0.0.1:{rest}/reminders", body, headers)
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                assert answer.status == 201
        except urllib.error.HTTPError as refused:
            raise AssertionError(refused.read()) from None
        for socket in sockets:
            told = json.loads(socket.recv(10))
            assert (told["type"], told["content"]) == ("reminder", message)
            with pytest.raises(TimeoutError):
                socket.recv(2)  # once


SERVICE = "service-of-the-test-0123456789"


@pytest.mark.parametrize("keys", ["", f", key: {BEARER}, service_key: {SERVICE}"], ids=["open", "keys"])
def test_the_stores_own_listener_is_as_with_one_process(tmp_path: Path, keys: str) -> None:
    """Wherever it is and whatever it wants to be shown, the others use the store beside it."""
    place, rest = Place(tmp_path, free_port()), free_port()
    (tmp_path / "once.py").write_text(ONCE)
    listen = f', listen: "127.0.0.2:{rest}"{keys}'
    (tmp_path / "jota.yaml").write_text(
        YAML.format(store="sqlite:///jota.db", port=place.port, listen=listen)
    )
    with running(place) as crew:
        two = crew.app(2)
        say(two, "is it kept?")
        talk = end(two)["conversation_id"]
        shown = {"Authorization": f"Bearer {BEARER}", "X-API-Key": SERVICE} if keys else {}
        url = f"http://127.0.0.2:{rest}/reminders"
        with urllib.request.urlopen(urllib.request.Request(url, headers=shown), timeout=10) as answer:
            assert answer.status == 200
        assert len(place.get(f"/api/v1/conversations/{talk}/messages?user_id=ana")["messages"]) == 2


SCOUT = """
import asyncio
from pathlib import Path
from jota_core.api import MEMORY, Plugin, PluginContext, ServiceRecord, Settings, hookimpl

class ScoutSettings(Settings):
    ports: dict[str, int]

class Scout(Plugin[ScoutSettings]):
    Settings = ScoutSettings
    in_each_worker = True

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        self.ctx = ctx
        if ctx.data_dir.name == "data":
            self.see("cellar")
        if ctx.data_dir.name != "data" or Path("attic-is-seen").exists():
            self.see("attic")
        ctx.spawn("look", self.look)

    def see(self, name: str) -> None:
        host, port = f"{name}.local", self.settings.ports[name]
        self.ctx.lan.seen(ServiceRecord(MEMORY, f"id-of-{name}", name, host, ("127.0.0.1",), port))

    async def look(self) -> None:
        while not Path("cellar-is-seen").exists():
            await asyncio.sleep(0.05)
        self.see("cellar")
"""
FOUND = """
host: {{data: ./data, drain_s: 1}}
plugins:
  scout: {{plugin: ./scout.py, ports: {ports}}}
  memory: {{plugin: jota_db_client, url: discover, bearer: {bearer}, key: {key}}}
  llm: {{plugin: jota_echo}}
  app: {{plugin: jota_http, listen: "127.0.0.1:{port}"}}
"""
FAR = (
    'plugins: {{memory: {{plugin: jota_db, listen: "127.0.0.1:{port}", key: {bearer}, service_key: {key}}}}}'
)


@pytest.fixture
def found(tmp_path: Path) -> Iterator[tuple[Place, Popen[str]]]:
    """A host that finds its memory, and the process of the one in the cellar; another is in the attic."""
    place, keys = Place(tmp_path, free_port()), {"bearer": BEARER, "key": SERVICE}
    far = {name: Place(tmp_path / name, free_port()) for name in ("cellar", "attic")}
    ports = json.dumps({name: each.port for name, each in far.items()})
    (tmp_path / "scout.py").write_text(SCOUT)
    (tmp_path / "jota.yaml").write_text(FOUND.format(ports=ports, port=place.port, **keys))
    with ExitStack() as stack:
        processes = []
        for each in far.values():
            each.folder.mkdir()
            (each.folder / "jota.yaml").write_text(FAR.format(port=each.port, **keys))
            processes.append(stack.enter_context(each.running()))
            each.health()
        yield place, processes[0]


OTHER = "A JotaDB with the id id-of-attic is on the LAN, but this host's memory was in id-of-cellar."


def test_all_workers_keep_to_the_memory_that_one_found_first(found: tuple[Place, Popen[str]]) -> None:
    place, _ = found
    with place.running("--workers", "2") as manager:
        wait_for(lambda: OTHER in _of_memory(place, 2), "the second to refuse the attic")
        (place.folder / "cellar-is-seen").touch()
        wait_for(lambda: "cellar.local" in _of_memory(place, 2), "the second to find the cellar")
        manager.terminate()
        assert manager.wait(20) == 0


def test_of_two_memories_that_are_found_at_once_one_is_used(found: tuple[Place, Popen[str]]) -> None:
    place, cellar = found
    (place.folder / "attic-is-seen").touch()
    with place.running():
        wait_for(lambda: "cellar.local" in _of_memory(place, None), "the cellar to be used")
        place.chat("hello")
        cellar.kill()
        place.chat("is it there?")
        wait_for(lambda: OTHER in _of_memory(place, None), "the attic to be refused")


def _of_memory(place: Place, worker: int | None) -> str:
    """What a worker says of its memory; empty when it is another one that answers."""
    try:
        told = place.get("/health")
    except OSError:
        return ""
    words = [str(each["detail"]) for each in told["sections"] if each["section"] == "memory"]
    return words[0] if told.get("worker") == worker else ""


def test_keys_of_the_file_count_at_every_worker_however_many_come(tmp_path: Path) -> None:
    """The first is asked whether it knows each of them; it must not take that for guessing."""
    place = Place(tmp_path, free_port())
    (tmp_path / "once.py").write_text(ONCE)
    yaml = YAML.format(store="sqlite:///jota.db", port=place.port, listen="")
    keys = "".join(f", k{number}: {{key: key-number-{number}-0123456789}}" for number in range(40))
    (tmp_path / "jota.yaml").write_text(
        yaml.replace('"}\n', '"}\n').rstrip()[:-1] + f", keys: {{{keys[2:]}}}}}\n"
    )
    with place.running("--workers", "2") as manager:
        wait_for(lambda: _answers(place, "key-number-0-0123456789"), "the door")
        time.sleep(2)
        with ThreadPoolExecutor(64) as pool:
            shown = [f"key-number-{number % 40}-0123456789" for number in range(256)]
            answered = [*pool.map(lambda key: _answers(place, key), shown)]
        assert all(answered)
        manager.terminate()
        manager.wait(20)


def _answers(place: Place, key: str) -> bool:
    """Whether this key is let in, at whichever worker the connection gets to."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{place.port}/api/v1/models", headers={"x-client-key": key}
    )
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as refused:
        with refused:
            return False
    except OSError:
        return False


def test_a_wrong_configuration_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "jota.yaml").write_text("plugins: {app: {plugin: jota_htp}}")
    done = Place(tmp_path, 0).jota("run", "--workers", "2")
    assert done.returncode == 2
    assert done.stderr.count("jota_htp") == 1
