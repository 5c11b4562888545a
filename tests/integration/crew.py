"""Several worker processes of one host, as tests start and look at them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from subprocess import Popen
from typing import Any

import psutil
from websockets.sync.client import ClientConnection, connect

from .conftest import Place

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
            with suppress(psutil.Error, KeyError):  # it is not yet one, or no more
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
