"""The command line as a user meets it: real processes, sentences, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jota_core.testing import free_port

YAML = """
host: {data: ./data, drain_s: 2}
plugins:
  memory: {plugin: jota_db}
  llm: {plugin: jota_echo}
  app: {plugin: jota_http, listen: "127.0.0.1:%d"}
"""
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("JOTA")}


def jota(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jota_core.cli", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=ENVIRON, capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def running(cwd: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "jota_core.cli", "run", *arguments]
    process = subprocess.Popen(command, cwd=cwd, env=ENVIRON, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


@pytest.fixture
def port(tmp_path: Path) -> int:
    number = free_port()
    (tmp_path / "jota.yaml").write_text(YAML % number)
    return number


def wait_for(url: str) -> dict[str, object]:
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                body: dict[str, object] = json.load(answer)
                return body
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def chat(port: int, text: str) -> dict[str, object]:
    body = json.dumps({"user_id": "ana", "text": text}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/chat", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def test_check_says_fine_or_every_problem(tmp_path: Path, port: int) -> None:
    good = jota("check", cwd=tmp_path)
    assert (good.returncode, good.stdout) == (0, "jota.yaml: fine, 3 sections.\n"), good.stderr
    bad = jota("check", "--set", "plugins.app.lisen=1", "--set", "turns.queue_limit=none", cwd=tmp_path)
    assert bad.returncode == 2
    assert 'not a known setting (did you mean "listen"?)' in bad.stderr
    assert "must be a whole number" in bad.stderr
    assert "Traceback" not in bad.stderr


def test_a_wrong_option_is_a_sentence(tmp_path: Path) -> None:
    wrong = jota("run", "--colour", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "No such option" in wrong.stderr
    missing = jota("run", cwd=tmp_path)
    assert missing.returncode == 2
    assert "there is no such file; name one with -c FILE" in missing.stderr


def test_a_plugin_that_exits_on_import_is_named(tmp_path: Path, port: int) -> None:
    (tmp_path / "bad.py").write_text("import sys\nsys.exit(7)\n")
    found = jota("check", "--set", "plugins.bad.plugin=./bad.py", cwd=tmp_path)
    assert found.returncode == 2
    assert "plugins.bad" in found.stderr
    assert "it called exit (7)" in found.stderr
    safe = jota("check", "--safe", "--set", "plugins.bad.plugin=./bad.py", cwd=tmp_path)
    assert safe.returncode == 0, safe.stderr


def test_a_host_runs_answers_remembers_and_stops(tmp_path: Path, port: int) -> None:
    with running(tmp_path) as host:
        health = wait_for(f"http://127.0.0.1:{port}/health")
        assert health["status"] == "ok", health
        first = chat(port, "the boiler code is 4711")
        assert "4711" in str(first["response"])
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        second = jota("run", "--set", f"plugins.app.listen=127.0.0.1:{free_port()}", cwd=tmp_path)
        assert second.returncode == 2
        assert f"process {host.pid}" in second.stderr
        assert str(host.pid) in jota("plugins", cwd=tmp_path).stdout
        doctor = jota("doctor", cwd=tmp_path)
        assert doctor.returncode == 0, doctor.stdout
        began = time.monotonic()
        host.send_signal(signal.SIGTERM)
        assert host.wait(10) == 0
        assert time.monotonic() - began < 2, "an idle host stops within two seconds"
    with running(tmp_path):
        wait_for(f"http://127.0.0.1:{port}/health")
        assert chat(port, "again")["conversation_id"] == first["conversation_id"]


def test_a_port_in_use_is_a_waiting_door_that_recovers(tmp_path: Path, port: int) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with running(tmp_path) as host:
            assert host.stderr is not None
            line = next(line for line in host.stderr if "in use" in line)
            assert f"127.0.0.1:{port} is in use by another program" in line
            other.close()
            assert wait_for(f"http://127.0.0.1:{port}/health")["status"] == "ok"


def test_a_required_section_that_fails_ends_the_host(tmp_path: Path, port: int) -> None:
    options = ("--set", "plugins.app.required=true", "--set", f"plugins.app.listen=0.0.0.0:{port}")
    found = jota("run", *options, cwd=tmp_path)
    assert found.returncode == 3
    assert "has no keys" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_data_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path, port: int) -> None:
    (tmp_path / "file").write_text("")
    found = jota("run", "--data", str(tmp_path / "file" / "data"), cwd=tmp_path)
    assert found.returncode == 2
    assert "cannot be written" in found.stderr


def test_the_log_cannot_be_forged() -> None:
    import logging

    from jota_core.cli.logs import ConsoleFormatter

    record = logging.LogRecord(
        "jota", logging.INFO, "", 0, "user %s", ("a\n12:00:00 error \x1b[31mred",), None
    )
    line = ConsoleFormatter().format(record)
    assert "\n" not in line
    assert "\x1b" not in line
