"""Hosts of the LAN as real processes, each by a YAML of `config/`."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from .network import Machine, Network

ROOT = Path(__file__).parents[2]
CENTER_KEY, APP_KEY, EARS_TOKEN, BEARER = (
    f"{name}-of-this-test-0123456789abcdef" for name in ("center", "app", "ears", "bearer")
)
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("JOTA_")} | {
    **{name: os.environ[name] for name in ("JOTA_MODEL_CACHE",) if name in os.environ},
    "JOTA_CENTER_KEYS": f"orchestrator={CENTER_KEY}",
    "INFERENCE_CLIENT_ID": "orchestrator",
    "INFERENCE_API_KEY": CENTER_KEY,
    "JOTA_APP_KEY": APP_KEY,
    "AUTH_TOKEN": EARS_TOKEN,
    "JOTA_DB_API_KEY": BEARER,
}  # fmt: skip
ECHO = ("llm.plugin=jota_echo", "llm.delay_s=0.05")
"""A model whose pace is known; what is tested here is the way to it."""
DOORS = {"center": 3000, "app": 8000, "door": 9001, "memory": 8080}
READY_S = 40.0


@dataclass
class Host:
    """One `jota run` on one machine."""

    machine: Machine
    config: Path
    folder: Path
    options: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Run it; returns when it says that it is ready."""
        log = self.folder / "log"
        with self.machine.inside(), log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jota_core.cli", "run", "-c", str(self.config), *self._options()],
                cwd=self.folder, env=ENVIRON | self.environ, stderr=out, text=True,
            )  # fmt: skip
        wait_for(
            lambda: "Jota is ready" in log.read_text(), f"{self.machine.name} to be ready ({log})", READY_S
        )

    def stop(self) -> None:
        """SIGTERM; it says goodbye."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def kill(self) -> None:
        """`kill -9`; it says nothing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
            self.process = None

    @property
    def log(self) -> str:
        """What it has written so far."""
        return (self.folder / "log").read_text()

    def jota(self, *arguments: str) -> str:
        """One command on this machine, with its data folder."""
        command = [sys.executable, "-m", "jota_core.cli", *arguments]
        environ = ENVIRON | {"JOTA_DATA": str(self.folder / "data")} | self.environ
        with self.machine.inside():
            done = subprocess.run(
                command, cwd=self.folder, env=environ, capture_output=True, text=True, timeout=60, check=False
            )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _options(self) -> list[str]:
        options = [*self._doors(), f"lan.name={self.machine.name}", *self.options]
        if not self.machine.namespace:
            options.append("lan.interfaces=[127.0.0.1]")
        sets = [each if each.startswith("host.") else f"plugins.{each}" for each in options]
        return ["--data", str(self.folder / "data"), *(f"--set={each}" for each in sets)]

    def _doors(self) -> Iterator[str]:
        """Where its doors listen, by the ports of this machine."""
        text, address = self.config.read_text(), "0.0.0.0" if self.machine.namespace else "127.0.0.1"
        if "jota_metrics\n    listen:" in text:
            yield "metrics.listen=127.0.0.1:0"
        for name, port in DOORS.items():
            if f'listen: "0.0.0.0:{port}"' in text and f"\n  {name}:" in text:
                yield f"{name}.listen={address}:{self.machine.port(port)}"

    def get(self, path: str) -> Any:
        """What the app door answers."""
        with self.machine.inside():
            connection = http.client.HTTPConnection(self.machine.address, self.machine.port(8000), timeout=10)
            connection.request("GET", path, headers={"x-client-key": APP_KEY})
        with closing(connection):
            return json.loads(connection.getresponse().read())

    def sections(self) -> dict[str, dict[str, Any]]:
        """What `/health` says, by section."""
        found = self.get("/health")
        return {each["section"]: each for each in found["sections"]}

    def is_well(self, section: str, saying: str = "") -> bool:
        """Whether a section runs, and says that."""
        told = self.sections()[section]
        return told["state"] == "running" and saying in told["detail"]

    @contextmanager
    def app(self, user: str = "ana") -> Iterator[App]:
        """An app on this machine, with typed frames."""
        machine = self.machine
        url = f"ws://{machine.address}:{machine.port(8000)}/api/v1/ws/chat/{user}?frames=json"
        with machine.inside():
            socket = connect(url, proxy=None, additional_headers={"x-client-key": APP_KEY}, open_timeout=10)
        with socket:
            yield App(socket)


class App:
    """An app on one socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def say(self, text: str) -> None:
        """Send a message."""
        self._socket.send(json.dumps({"type": "prompt", "text": text}))

    def until(self, *kinds: str, limit_s: float = 30) -> list[dict[str, Any]]:
        """Frames up to the first of these kinds."""
        end, found = time.monotonic() + limit_s, list[dict[str, Any]]()
        while not found or found[-1]["type"] not in kinds:
            found.append(json.loads(self._socket.recv(timeout=max(0.1, end - time.monotonic()))))
        return found

    def ask(self, text: str, limit_s: float = 30) -> dict[str, Any]:
        """Say something; the last frame of the answer, with its whole text as `answer`."""
        self.say(text)
        frames = self.until("end", "error", "aborted", limit_s=limit_s)
        said = "".join(frame["content"] for frame in frames if frame["type"] == "token")
        return {**frames[-1], "answer": said}


class House:
    """All hosts of a network."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.network = network
        self.hosts: dict[str, Host] = {}
        self.folder = folder

    def host(self, name: str, config: str | Path, *options: str, **environ: str) -> Host:
        """A host that is not started yet; a path is a YAML of the test's own."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        file = config if isinstance(config, Path) else ROOT / "config" / f"{config}.yaml"
        host = self.hosts[name] = Host(self.network.add(name), file, folder, options, environ)
        return host

    def center(self, name: str, *options: str) -> Host:
        """A machine with a model, running."""
        host = self.host(name, "inference", *ECHO, *options)
        host.start()
        return host

    def close(self) -> None:
        """End every process that was begun here."""
        for host in self.hosts.values():
            host.kill()


def wait_for(fact: Any, what: str, limit_s: float = 15.0) -> float:
    """Wait until `fact()` is true; returns the seconds that it took."""
    began = time.monotonic()
    while not fact():
        assert time.monotonic() - began < limit_s, f"Waited {limit_s:g} s for {what}."
        time.sleep(0.01)
    return time.monotonic() - began
