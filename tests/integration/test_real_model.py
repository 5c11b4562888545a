"""The main job end to end: the starter model, real processes, `kill -9`, and it still knows."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from jota_core.testing import free_port

from .conftest import Place

pytestmark = pytest.mark.model
YAML = """
host: {data: ./data, drain_s: 2}
assistant: {temperature: 0, max_tokens: 48, clock: false}  # the same words at any time of the day
plugins:
  memory: {plugin: jota_db}
  llm: {plugin: jota_llama}
  app: {plugin: jota_http, listen: "127.0.0.1:%d"}
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path, free_port())
    (tmp_path / "jota.yaml").write_text(YAML % found.port)
    pulled = found.jota("models", "pull", "starter", timeout=300)
    assert pulled.returncode == 0, pulled.stderr
    return found


def open_socket(place: Place, path: str) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{place.port}{path}")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_it_answers_and_knows_what_was_said_after_kill_9(place: Place) -> None:
    with place.running() as host:
        place.health()
        said = place.chat("Hello, the boiler code is 4711", "user1")
        assert said["response"].strip()
        assert said["stats"]["model"]
        os.kill(host.pid, signal.SIGKILL)
    with place.running():
        place.health()
        asked = place.chat("What is the boiler code?", "user1")
        assert asked["conversation_id"] == said["conversation_id"]
        assert asked["stats"]["prompt_tokens"] > said["stats"]["prompt_tokens"]
        assert "4711" in asked["response"]


def test_it_streams_and_keeps_the_prefix_warm(place: Place) -> None:
    with place.running():
        place.health()
        ends, pieces = [], 0
        with open_socket(place, "/api/v1/ws/chat/user1?frames=json") as app:
            assert json.loads(app.recv())["type"] == "session"
            for text in ("Tell me about the sea.", "And about the mountains?"):
                app.send(text)
                while (frame := json.loads(app.recv(60)))["type"] != "end":
                    pieces += frame["type"] == "token"
                ends.append(frame["stats"])
        assert pieces > 10
        assert ends[1]["prompt_tokens"] > ends[0]["prompt_tokens"]
        assert ends[1]["reprocessed_tokens"] < ends[1]["prompt_tokens"] / 2


def test_a_killed_engine_cuts_only_running_answers_and_is_back(place: Place) -> None:
    with place.running("--set", "assistant.max_tokens=400") as host:
        place.health()
        with open_socket(place, "/api/chat/ws?user_id=user1") as app:
            app.recv()
            app.send("Write a long story about a dog.")
            while json.loads(app.recv(60))["type"] != "token":
                pass
            began = time.monotonic()
            for child in children(host.pid):
                os.kill(child, signal.SIGKILL)
            while (frame := json.loads(app.recv(60)))["type"] == "token":
                pass
            assert time.monotonic() - began < 0.5
            assert (frame["type"], frame["code"], frame["persisted"]) == ("error", "upstream_lost", True)
            place.health()
            app.send("Hello again.")
            while (frame := json.loads(app.recv(60)))["type"] in ("turn", "token", "status"):
                pass
            assert frame["type"] == "end"
        messages = place.get(f"/api/v1/conversations/{frame['conversation_id']}/messages?user_id=user1")[
            "messages"
        ]
        assert messages[1]["content"].endswith(" [INTERRUPTED]")


def test_a_host_without_a_model_waits_for_one(place: Place) -> None:
    with place.running("--data", str(place.folder / "empty")) as host:
        degraded = place.health("degraded")
        assert degraded["components"]["inference_engine"] == "disconnected"
        detail = next(section["detail"] for section in degraded["sections"] if section["section"] == "llm")
        assert "jota models pull starter" in detail
        pulled = place.jota("models", "pull", "starter", "--data", str(place.folder / "empty"), timeout=300)
        assert pulled.returncode == 0, pulled.stderr
        place.health(limit_s=90)
        assert host.poll() is None
