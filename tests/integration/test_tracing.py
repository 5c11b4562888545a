"""Tracing where something is missing: the libraries, or the collector. A host with all of it is in test_operations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jota_core.testing import free_port

from .conftest import ENVIRON, Place
from .test_operations import Collector, until

YAML = """
host: {{data: ./data}}
plugins:
  memory: {{plugin: jota_db}}
  llm: {{plugin: jota_echo}}
  app: {{plugin: jota_http, listen: "127.0.0.1:{app}"}}
  tracing: {{plugin: jota_tracing, endpoint: "http://127.0.0.1:{traces}/v1/traces"}}
"""


@pytest.fixture
def traced(tmp_path: Path) -> tuple[Place, int]:
    """A host that sends its traces to a port where nobody is yet."""
    place, traces = Place(tmp_path, free_port()), free_port()
    (tmp_path / "jota.yaml").write_text(YAML.format(app=place.port, traces=traces))
    return place, traces


def test_without_the_extra_the_section_says_how_to_get_it(traced: tuple[Place, int]) -> None:
    place, _ = traced
    package = place.folder / "without/opentelemetry"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('raise ImportError("not installed")\n')
    environ = {**ENVIRON, "PYTHONPATH": os.pathsep.join([str(package.parent), ENVIRON.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "jota_core.cli", "run"]
    with subprocess.Popen(
        command, cwd=place.folder, env=environ, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            found = place.health("degraded")
            assert place.chat("still here")["status"] == "success"
            doctor = place.jota("doctor").stdout
        finally:
            process.terminate()
            process.communicate(timeout=20)
    [section] = [each for each in found["sections"] if each["section"] == "tracing"]
    assert section["state"] == "failed"
    assert 'pip install "jota[tracing]"' in section["detail"]
    assert 'pip install "jota[tracing]"' in doctor


def test_a_collector_that_is_away_is_told_once_and_costs_only_spans(traced: tuple[Place, int]) -> None:
    place, port = traced
    spans: list[tuple[str, Any]] = []
    with place.running() as process:
        place.health()
        lost = place.chat("lost")["turn_id"]
        until(lambda: _hint(place), "the section knows that nobody is there")
        place.chat("lost, too")
        with ThreadingHTTPServer(
            ("127.0.0.1", port), type("Handler", (Collector,), {"spans": spans})
        ) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            until(lambda: place.chat("again") and not _hint(place), "it is sent again")
            process.terminate()
            log = process.communicate(timeout=20)[1]
            server.shutdown()
            thread.join()
    assert process.returncode == 0
    assert log.count("Traces cannot be sent") == 1 and "(Connection refused). Start a collector" in log
    assert log.count("again.") == 1
    assert "opentelemetry" not in log and "Traceback" not in log
    assert spans and lost not in {span.trace_id.hex() for _, span in spans}


def _hint(place: Place) -> str:
    found = place.get("/health")
    assert found["status"] == "ok", json.dumps(found)
    hints = [str(each["hint"]) for each in found["sections"] if each["section"] == "tracing"]
    return hints[0]
