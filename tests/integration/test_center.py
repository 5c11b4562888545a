"""A host that is only an Inference Center, with the real model: `config/inference.yaml` as it stands."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from jota_core.testing import free_port

from .conftest import ENVIRON, Place

pytestmark = pytest.mark.model
CONFIG = Path(__file__).parents[2] / "config/inference.yaml"
KEY = "a-key-of-the-test-0123456789"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setitem(ENVIRON, "JOTA_CENTER_KEYS", f"orch={KEY}")
    found = Place(tmp_path, free_port())
    text = CONFIG.read_text().replace("0.0.0.0:3000", f"127.0.0.1:{found.port}")
    text = text.replace("127.0.0.1:9100", "127.0.0.1:0")
    (tmp_path / "jota.yaml").write_text(text)
    assert found.jota("models", "pull", "starter", timeout=300).returncode == 0
    return found


class Asker:
    """A client with one session."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        assert self.read()["op"] == "auth_success"
        self.session = self.ask(op="create_session")["session_id"]

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._socket.recv(30))
        return found

    def send(self, **members: Any) -> None:
        self._socket.send(json.dumps(members))

    def ask(self, **members: Any) -> dict[str, Any]:
        self.send(**members)
        return self.read()

    def answer(self, prompt: str, **members: Any) -> tuple[str, dict[str, Any]]:
        params = {"temp": 0.0, "max_tokens": 40, "system_prompt": "You are a friendly and helpful assistant."}
        self.send(op="infer", session_id=self.session, prompt=prompt, params=params, **members)
        text = ""
        while (found := self.read())["op"] == "token":
            text += found["content"]
        return text, found


def connected(place: Place) -> ClientConnection:
    headers = {"X-Client-ID": "orch", "X-API-Key": KEY}
    return connect(f"ws://127.0.0.1:{place.port}/api/inference", additional_headers=headers, proxy=None)


def ready(place: Place, host: Any) -> None:
    for line in host.stderr:
        if "Jota is ready: 4 of 4" in line:
            return
    raise AssertionError("The center ended before it was ready.")


def test_it_streams_keeps_the_prefix_warm_constrains_and_aborts(place: Place) -> None:
    with place.running() as host:
        ready(place, host)
        with connected(place) as socket:
            asker = Asker(socket)
            told, first = asker.answer("Hello, the boiler code is 4711.")
            messages = [
                {"role": "user", "content": "Hello, the boiler code is 4711."},
                {"role": "assistant", "content": told},
            ]
            asker.ask(op="set_context", session_id=asker.session, context={"messages": messages})
            code, second = asker.answer("What is the boiler code?")
            assert "4711" in code
            assert second["stats"]["cached_tokens"] > first["stats"]["prompt_tokens"] * 0.9
            assert asker.answer("Is it day?", grammar='root ::= "yes" | "no"')[0] in ("yes", "no")
            asker.send(
                op="infer",
                session_id=asker.session,
                prompt="Tell a very long story.",
                params={"max_tokens": 900},
            )
            assert asker.read()["op"] == "token"
            asker.send(op="abort", session_id=asker.session)
            while (found := asker.read())["op"] != "end":
                pass
            assert found["stats"]["tokens"] < 900


def test_killed_and_started_again_it_answers_again(place: Place) -> None:
    with place.running() as host:
        ready(place, host)
        with connected(place) as socket:
            assert Asker(socket).answer("Say hello.")[1]["op"] == "end"
            os.kill(host.pid, signal.SIGKILL)
    with place.running() as host:
        ready(place, host)
        with connected(place) as socket:
            assert Asker(socket).answer("Say hello.")[1]["op"] == "end"
