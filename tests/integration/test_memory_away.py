"""JotaDB as a process of its own, killed and stopped while an app talks to an orchestrator that uses it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from jota_core.testing import free_port

from .conftest import ENVIRON, Place

BEARER = "a-bearer-of-the-test-0123456789"
DB = """
host: {data: ./data, drain_s: 2}
plugins:
  memory: {plugin: jota_db, listen: "127.0.0.1:%d", key: {env: JOTA_DB_API_KEY}}
"""
ORCHESTRATOR = """
host: {data: ./data, drain_s: 2}
plugins:
  memory:
    {plugin: jota_db_client, url: {env: JOTA_DB_URL}, bearer: {env: JOTA_DB_API_KEY}, key: {env: ORCHESTRATOR_API_KEY}}
  llm: {plugin: jota_echo, delay_s: 0.02}
  app: {plugin: jota_http, listen: "127.0.0.1:%d"}
"""


class Pair:
    """Both places; the orchestrator's key is made by the command."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.db, self.app = (Place(folder / name, free_port()) for name in ("db", "app"))
        for place, text in ((self.db, DB), (self.app, ORCHESTRATOR)):
            place.folder.mkdir()
            (place.folder / "jota.yaml").write_text(text % place.port)
        monkeypatch.setitem(ENVIRON, "JOTA_DB_API_KEY", BEARER)
        monkeypatch.setitem(ENVIRON, "JOTA_DB_URL", f"http://127.0.0.1:{self.db.port}")
        made = self.db.jota("clients", "add", "orch", "--type", "service", "--data", "./data")
        assert made.returncode == 0, made.stderr
        monkeypatch.setitem(ENVIRON, "ORCHESTRATOR_API_KEY", made.stdout.split()[-1])

    @contextmanager
    def db_running(self) -> Iterator[Popen[str]]:
        with self.db.running() as process:
            self.db.health()
            yield process

    def messages(self, conversation: int) -> list[dict[str, Any]]:
        path = f"/api/v1/conversations/{conversation}/messages?user_id=ana&limit=200"
        found: list[dict[str, Any]] = self.app.get(path)["messages"]
        return found

    def until_kept(self, limit_s: float = 8) -> float:
        """Ask until an answer is in the store again; returns how long that took."""
        began = time.monotonic()
        while not self.app.chat("again?")["persisted"]:
            assert time.monotonic() - began < limit_s
            time.sleep(0.05)
        return time.monotonic() - began


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    return Pair(tmp_path, monkeypatch)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_turns_go_on_and_everything_is_there_once_afterwards(pair: Pair, how: signal.Signals) -> None:
    with pair.app.running():
        with pair.db_running() as db:
            pair.app.health()
            told = [pair.app.chat(f"before {number}") for number in range(3)]
            assert all(each["persisted"] for each in told)
            os.kill(db.pid, how)
            began = time.monotonic()
            told += [pair.app.chat(f"meanwhile {number}") for number in range(4)]
            assert not any(each["persisted"] for each in told[3:])
            assert time.monotonic() - began < 8, "one wait for the first write, none for the others"
            assert "wait for its return" in str(pair.app.health("degraded"))
            if how is signal.SIGSTOP:
                os.kill(db.pid, signal.SIGCONT)
                pair.until_kept()
                _check(pair, told)
                return
        with pair.db_running():
            pair.until_kept()
            _check(pair, told)


def test_both_are_killed_and_what_was_acknowledged_is_there(pair: Pair) -> None:
    with pair.app.running() as app:
        with pair.db_running() as db:
            pair.app.health()
            told = [pair.app.chat("before")]
            db.kill()
            told += [pair.app.chat(f"meanwhile {number}") for number in range(3)]
        app.kill()
    with pair.db_running(), pair.app.running():
        pair.app.health()
        _check(pair, told)


def test_a_host_that_starts_without_its_memory_recovers_by_itself(pair: Pair) -> None:
    with pair.app.running():
        assert "cannot be asked" in str(pair.app.health("degraded"))
        with pair.db_running():
            pair.app.health()
            assert pair.app.chat("hello")["persisted"]


def _check(pair: Pair, told: list[dict[str, Any]]) -> None:
    """Each acknowledged answer is stored, once, in order."""
    stored = pair.messages(told[0]["conversation_id"])
    answers = {message["id"]: message["content"] for message in stored if message["role"] == "assistant"}
    assert len(stored) == len({message["id"] for message in stored})
    questions = [m["content"] for m in stored if m["role"] == "user" and not m["content"].startswith("again")]
    assert questions == [each["response"].strip().split("\n")[0] for each in told] or len(questions) == len(
        told
    )
    for each in told:
        assert each["message_id"] is None or answers[each["message_id"]] == each["response"]
    assert [answers[m["id"]] for m in stored if m["role"] == "assistant"][: len(told)] == [
        each["response"] for each in told
    ]


def test_a_second_signal_ends_it_at_once(pair: Pair) -> None:
    """However many threads of libraries there are."""
    with pair.db_running(), pair.app.running() as host, ThreadPoolExecutor(1) as pool:
        pair.app.health()
        answer = pool.submit(pair.app.chat, "word " * 200)
        time.sleep(0.5)
        host.terminate()
        time.sleep(0.2)
        host.terminate()
        assert host.wait(3) == 130
        assert isinstance(answer.exception(5), OSError)
