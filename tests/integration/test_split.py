"""One host split into two: `config/inference.yaml` and `config/orchestrator.yaml`, and a center that is mistreated.

The center runs `jota_echo` where only the link is tested, the real model where the answer is.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from jota_core.testing import free_port

from .conftest import ENVIRON, Place

CONFIG = Path(__file__).parents[2] / "config"
KEY = "a-key-of-the-test-0123456789"
ECHO = "plugin: jota_echo\n    delay_s: 0.05"
LONG = " ".join(f"word{number}" for number in range(400))
"""An answer of twenty seconds."""


class Split:
    """Both places, and the one socket of an app."""

    def __init__(self, center: Place, orchestrator: Place) -> None:
        self.center = center
        self.orchestrator = orchestrator

    @contextmanager
    def center_running(self) -> Iterator[Popen[str]]:
        """The center, from the moment it is ready."""
        with self.center.running() as process:
            assert process.stderr is not None
            for line in process.stderr:
                if "Jota is ready" in line:
                    break
            yield process

    @contextmanager
    def app(self, user: str = "ana") -> Iterator[App]:
        url = f"ws://127.0.0.1:{self.orchestrator.port}/api/v1/ws/chat/{user}?frames=json"
        with connect(url, proxy=None) as socket:
            yield App(socket)


ENDS = ("end", "aborted", "error")


class App:
    """An app on one socket with typed frames."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        assert self._read(10)["type"] == "session"

    def say(self, text: str) -> None:
        self._socket.send(json.dumps({"type": "prompt", "text": text}))

    def cancel(self) -> None:
        self._socket.send(json.dumps({"type": "cancel"}))

    def until_token(self) -> None:
        while self._read(10)["type"] != "token":
            pass

    def end(self, limit_s: float = 60) -> dict[str, Any]:
        """How the turn ends, with all text that came before."""
        said, until = "", time.monotonic() + limit_s
        while (found := self._read(until - time.monotonic()))["type"] not in ENDS:
            said += found["content"] if found["type"] == "token" else ""
        return {**found, "said": said}

    def ask(self, text: str) -> dict[str, Any]:
        self.say(text)
        return self.end()

    def answer(self, text: str, limit_s: float) -> str:
        """Ask until there is an answer."""
        until = time.monotonic() + limit_s
        while (told := self.ask(text))["type"] != "end":
            assert time.monotonic() < until, told
            time.sleep(0.02)
        return str(told["said"])

    def _read(self, limit_s: float) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._socket.recv(limit_s))
        return found


def split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str) -> Split:
    """Both configurations as they are copied, on free ports."""
    center, orchestrator = (Place(tmp_path / name, free_port()) for name in ("center", "orchestrator"))
    for name, value in {
        "JOTA_CENTER_KEYS": f"orch={KEY}",
        "INFERENCE_SERVICE_URL": f"ws://127.0.0.1:{center.port}/api/inference",
        "INFERENCE_CLIENT_ID": "orch",
        "INFERENCE_API_KEY": KEY,
    }.items():
        monkeypatch.setitem(ENVIRON, name, value)
    for place, file, port in (
        (center, "inference", "0.0.0.0:3000"),
        (orchestrator, "orchestrator", "127.0.0.1:8000"),
    ):
        place.folder.mkdir()
        text = (CONFIG / f"{file}.yaml").read_text()
        assert port in text
        text = text.replace(port, f"127.0.0.1:{place.port}").replace("plugin: jota_llama", model)
        text = text.replace("127.0.0.1:9100", "127.0.0.1:0")
        (place.folder / "jota.yaml").write_text(text)
    return Split(center, orchestrator)


@pytest.fixture
def halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Split:
    return split(tmp_path, monkeypatch, ECHO)


def test_killed_mid_answer_and_back_the_same_socket_goes_on(halves: Split) -> None:
    with halves.orchestrator.running(), halves.center_running() as center:
        halves.orchestrator.health()
        with halves.app() as app:
            assert app.ask("uno dos")["said"].startswith("uno dos")
            app.say(LONG)
            app.until_token()
            os.kill(center.pid, signal.SIGKILL)
            told = app.end(1.0)  # 0.25 s, and what a busy machine adds
            assert (told["code"], told["outcome"], told["persisted"]) == (
                "upstream_lost",
                "interrupted",
                True,
            )
            began = time.monotonic()
            assert app.ask("Nobody there?")["code"] == "backend_unavailable"
            assert time.monotonic() - began < 0.5, "0.1 s, and what a busy machine adds"
            time.sleep(1)
            with halves.center_running():
                assert app.answer("And now?", 1.5).startswith("And now?")  # a second, and …


def test_a_center_that_comes_late_or_stops_in_good_order(halves: Split) -> None:
    with halves.orchestrator.running():
        told = halves.orchestrator.health("degraded")
        assert "cannot be reached" in json.dumps(told)
        with halves.app() as app:
            assert app.ask("Hello?")["code"] == "backend_unavailable"
            with halves.center_running() as center:
                halves.orchestrator.health()
                app.say(LONG)
                app.until_token()
                center.terminate()
                told = app.end(15)
                assert (told["code"], told["outcome"]) == ("upstream_lost", "interrupted")
                assert center.wait(10) == 0


def test_stopped_mid_answer_it_is_noticed_and_goes_on_when_it_does(halves: Split) -> None:
    limits = ["--set", "turns.first_token_s=0.7", "--set", "turns.between_tokens_s=0.7"]
    with halves.orchestrator.running(*limits), halves.center_running() as center:
        halves.orchestrator.health()
        with halves.app() as app:
            app.say(LONG)
            app.until_token()
            os.kill(center.pid, signal.SIGSTOP)
            told = app.end(3)
            assert (told["code"], told["outcome"]) == ("stalled", "interrupted")
            assert app.ask("Anybody?")["code"] == "engine_busy", "no session is made"
            os.kill(center.pid, signal.SIGCONT)
            assert app.answer("And now?", 3).startswith("And now?")


def test_losing_one_of_two_centers_mid_answer_loses_nobodys_next_turn(halves: Split) -> None:
    other = Place(halves.center.folder.with_name("other"), free_port())
    other.folder.mkdir()
    config = (halves.center.folder / "jota.yaml").read_text()
    (other.folder / "jota.yaml").write_text(config.replace(str(halves.center.port), str(other.port)))
    pool = [
        "--set", f"plugins.attic={{plugin: jota_inference, url: 'ws://127.0.0.1:{other.port}', client_id: orch, key: {{env: INFERENCE_API_KEY}}}}",
        "--set", "routing.inference=[[llm, attic]]",
    ]  # fmt: skip
    both = {halves.center.port: halves.center_running, other.port: Split(other, other).center_running}
    with halves.orchestrator.running(*pool), both[halves.center.port]() as one, both[other.port]():
        halves.orchestrator.health()
        with halves.app("ana") as ana, halves.app("ben") as ben, halves.app("eva") as eva:
            apps = (ana, ben, eva)
            for app in apps:
                app.say(LONG)
                app.until_token()
            os.kill(one.pid, signal.SIGKILL)
            time.sleep(0.2)
            lost = [app for app in apps if _is_lost(app)]
            assert 1 <= len(lost) <= 2, "the work was shared"
            for app in lost:
                assert app.ask("Go on?")["said"].startswith("Go on?")


def _is_lost(app: App) -> bool:
    """Whether the turn that runs has ended by now; one that has not is cancelled."""
    app.cancel()
    return bool(app.end(5)["type"] == "error")


@pytest.mark.model
def test_the_real_model_answers_across_and_its_prefix_stays_warm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves = split(tmp_path, monkeypatch, "plugin: jota_llama")
    assert halves.center.jota("models", "pull", "starter", timeout=300).returncode == 0
    with halves.orchestrator.running(), halves.center_running():
        halves.orchestrator.health()
        with halves.app() as app:
            assert app.ask("Hello, the boiler code is 4711.")["said"].strip()  # which words is chance
            stats = app.ask("Thank you.")["stats"]
            assert stats["reprocessed_tokens"] < stats["prompt_tokens"] / 2
