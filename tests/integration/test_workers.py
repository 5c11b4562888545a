"""`jota run --workers`: real processes, one app door; each of them killed in turn."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen
from typing import Any

import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from benchmarks.postgres import PostgresServer
from jota_core.testing import free_port

from .conftest import Place

BEARER = "bearer-of-the-test-0123456789"
YAML = """
host: {{data: ./data, drain_s: 4}}
plugins:
  memory: {{plugin: jota_db, store: "{store}"{listen}}}
  llm: {{plugin: ./once.py, delay_s: 0.02}}
  app: {{plugin: jota_http, listen: "127.0.0.1:{port}"}}
"""
ONCE = """
import os
from pathlib import Path
from jota_core.api import PluginContext, hookimpl
from jota_echo import JotaEcho

class Once(JotaEcho):
    in_each_worker = False

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        with Path("engines").open("a") as out:
            out.write(f"{os.getpid()}\\n")
"""
LONG = " ".join(f"word{number}" for number in range(200))
"""An answer of four seconds."""


class Crew:
    """A running host of two workers."""

    def __init__(self, place: Place, manager: Popen[str], log: list[str]) -> None:
        self.place = place
        self.manager = manager
        self.log = log
        self._stack = ExitStack()

    def workers(self) -> dict[int, int]:
        """Process ids by number, as their command lines and environments say."""
        found = {}
        for child in psutil.Process(self.manager.pid).children():
            found[json.loads(child.environ()["JOTA_WORKER"])["number"]] = child.pid
        return found

    def whole(self) -> bool:
        """Whether both are ready, and well."""
        told = {}
        for _ in range(40):
            try:
                report = self.place.get("/health")
            except OSError:
                return False
            told[report.get("worker")] = report["status"]
            if len(told) == 2:
                break
        return told == {1: "ok", 2: "ok"}

    def app(self, number: int, user: str = "ana") -> ClientConnection:
        """A socket at a certain worker: connections are made until one gets there."""
        for _ in range(100):
            socket = connect(
                f"ws://127.0.0.1:{self.place.port}/api/v1/ws/chat/{user}?frames=json", proxy=None
            )
            self._stack.enter_context(socket)
            if socket.local_address[1] in self._ports(number):
                assert json.loads(socket.recv(10))["type"] == "session"
                return socket
            socket.close()
        raise AssertionError(f"No connection got to worker {number}.")

    def close(self) -> None:
        self._stack.close()

    def _ports(self, number: int) -> set[int]:
        lines = psutil.Process(self.workers()[number]).net_connections("tcp")
        return {each.raddr.port for each in lines if each.raddr and each.laddr.port == self.place.port}


def wait_for(fact: Callable[[], object], what: str, limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while not fact():
        assert time.monotonic() < end, f"Waited {limit_s:g} s for {what}."
        time.sleep(0.05)


def say(socket: ClientConnection, text: str) -> None:
    socket.send(json.dumps({"type": "prompt", "text": text}))


def end(socket: ClientConnection, limit_s: float = 20) -> dict[str, Any]:
    """How the turn ends, with all text that came before."""
    said = ""
    while (told := json.loads(socket.recv(limit_s)))["type"] not in ("end", "error", "aborted"):
        said += told.get("content", "") if told["type"] == "token" else ""
    return {**told, "said": said}


def until_token(socket: ClientConnection) -> None:
    while json.loads(socket.recv(10))["type"] != "token":
        pass


@contextmanager
def running(place: Place) -> Iterator[Crew]:
    log: list[str] = []
    with place.running("--workers", "2") as manager:
        assert manager.stderr is not None
        stream = manager.stderr
        reading = threading.Thread(target=lambda: log.extend(stream))
        reading.start()
        crew = Crew(place, manager, log)
        try:
            wait_for(crew.whole, "both workers")
            yield crew
        finally:
            crew.close()
            left = list(crew.workers().values()) if manager.poll() is None else []
            manager.kill()
            for pid in left:
                wait_for(lambda pid=pid: not psutil.pid_exists(pid), "a worker to follow its manager")  # type: ignore[misc]
            reading.join(10)


@pytest.fixture(params=["sqlite", "postgres"])
def crew(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Crew]:
    place = Place(tmp_path, free_port())
    (tmp_path / "once.py").write_text(ONCE)
    with ExitStack() as stack:
        store = "sqlite:///jota.db"
        if request.param == "postgres":
            store = stack.enter_context(PostgresServer()).create("jota")
        (tmp_path / "jota.yaml").write_text(YAML.format(store=store, port=place.port, listen=""))
        yield stack.enter_context(running(place))


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


def test_a_stop_lets_answers_end(crew: Crew) -> None:
    sockets = [crew.app(1), crew.app(2, "ben")]
    for socket in sockets:
        say(socket, " ".join(LONG.split()[:60]))
        until_token(socket)
    crew.manager.terminate()
    for socket in sockets:
        told = end(socket)
        assert told["type"] == "end" or told["code"] == "server_restart"
        assert told.get("persisted", True)
    assert crew.manager.wait(20) == 0


def test_a_reminder_reaches_its_owner_wherever_he_is(tmp_path: Path) -> None:
    place, rest = Place(tmp_path, free_port()), free_port()
    (tmp_path / "once.py").write_text(ONCE)
    listen = f', listen: "127.0.0.1:{rest}", key: {BEARER}'
    (tmp_path / "jota.yaml").write_text(
        YAML.format(store="sqlite:///jota.db", port=place.port, listen=listen)
    )
    with running(place) as crew:
        sockets = [crew.app(1), crew.app(2)]
        at = datetime.now(UTC) + timedelta(seconds=1)
        body = json.dumps({"message": "tea", "trigger_at": at.isoformat()}).encode()
        headers = {"Authorization": f"Bearer {BEARER}", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"http://127.0.0.1:{rest}/reminders", body, headers)
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                assert answer.status == 201
        except urllib.error.HTTPError as refused:
            raise AssertionError(refused.read()) from None
        for socket in sockets:
            told = json.loads(socket.recv(10))
            assert (told["type"], told["content"]) == ("reminder", "tea")
            with pytest.raises(TimeoutError):
                socket.recv(2)  # once


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
