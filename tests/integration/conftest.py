"""Real `jota` processes for the tests of this folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jota_core.testing import free_port

ENVIRON = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("JOTA_") or name == "JOTA_MODEL_CACHE"
}
ECHO = """
host: {data: ./data, drain_s: 2}
plugins:
  memory: {plugin: jota_db}
  llm: {plugin: jota_echo}
  app: {plugin: jota_http, listen: "127.0.0.1:%d"}
"""


@dataclass
class Place:
    """A folder with a `jota.yaml`, and what can be done there as a user would."""

    folder: Path
    port: int

    def jota(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        command = [sys.executable, "-m", "jota_core.cli", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=ENVIRON, capture_output=True, text=True, timeout=timeout
        )

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A host in the background, a job of its own as a shell makes it; killed at the end if it still runs."""
        command = [sys.executable, "-m", "jota_core.cli", "run", *arguments]
        process = subprocess.Popen(
            command, cwd=self.folder, env=ENVIRON, stderr=subprocess.PIPE, text=True, process_group=0
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=20)

    def get(self, path: str) -> dict[str, Any]:
        """What GET answers, whatever its status."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                found = json.load(refused)
        return found

    def health(self, status: str = "ok", limit_s: float = 30) -> dict[str, Any]:
        """Wait until /health says so."""
        end = time.monotonic() + limit_s
        found: dict[str, Any] = {}
        while found.get("status") != status:
            assert time.monotonic() < end, f"no {status!r} within {limit_s} s: {found}"
            time.sleep(0.05)
            try:
                found = self.get("/health")
            except OSError:
                continue
        return found

    def chat(self, text: str, user: str = "ana") -> dict[str, Any]:
        """One message by REST."""
        body = json.dumps({"user_id": user, "text": text}).encode()
        url, headers = f"http://127.0.0.1:{self.port}/api/v1/chat", {"content-type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A host with `jota_echo` as its model."""
    found = Place(tmp_path, free_port())
    (tmp_path / "jota.yaml").write_text(ECHO % found.port)
    return found
