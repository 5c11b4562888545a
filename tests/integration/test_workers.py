"""`jota run --workers`: real processes, one app door; each of them killed in turn."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

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
