"""What an operator sees: one id through the logs of all machines, no secret in them, metrics of every host, traces."""

from __future__ import annotations

import http.server
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from jota_core.testing import free_port

from .conftest import Place

ROOT = Path(__file__).parents[2]
KEY = "key-of-the-center-0123456789"
CENTER = """
host: {{log_format: json, data: ./data}}
plugins:
  llm: {{plugin: jota_echo, delay_s: 0.001}}
  center: {{plugin: jota_inference_center, listen: "127.0.0.1:{center}", keys: {{orchestrator: {{env: CENTER_KEY}}}}}}
  metrics: {{plugin: jota_metrics, listen: "127.0.0.1:{metrics}"}}
  tracing: {{plugin: jota_tracing, endpoint: "http://127.0.0.1:{traces}/v1/traces", service: center}}
"""
MAIN = """
host: {{log_format: json, data: ./data}}
plugins:
  memory: {{plugin: jota_db}}
  llm: {{plugin: jota_inference, url: "ws://127.0.0.1:{center}", client_id: orchestrator, key: {{env: CENTER_KEY}}}}
  app: {{plugin: jota_http, listen: "127.0.0.1:{app}"}}
  metrics: {{plugin: jota_metrics}}
  tracing: {{plugin: jota_tracing, endpoint: "http://127.0.0.1:{traces}/v1/traces", service: main}}
  chatty: {{plugin: ./chatty.py, key: {{env: CENTER_KEY}}}}
"""
OPEN = 'plugins: {metrics: {plugin: jota_metrics, listen: "0.0.0.0:%d"}}'
CHATTY = """
import logging
from pydantic import SecretStr
from jota_core.api import Plugin, PluginContext, Settings, hookimpl

class ChattySettings(Settings):
    key: SecretStr

class Chatty(Plugin[ChattySettings]):
    Settings = ChattySettings

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        key = self.settings.key.get_secret_value()
        ctx.log.info("connecting to http://user:%s@example", key)
        try:
            raise OSError(f"http://x/?key={key}")
        except OSError:
            logging.getLogger("a.library").exception("it failed")
"""


def until(holds: Callable[[], object], what: str, limit_s: float = 20) -> None:
    """Wait until something holds."""
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, f"not within {limit_s:g} s: {what}"
        time.sleep(0.2)


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes OTLP over HTTP and keeps every span, with the service that sent it."""

    spans: list[tuple[str, Any]]

    def do_POST(self) -> None:
        told = ExportTraceServiceRequest()
        told.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        for resource in told.resource_spans:
            service = next(
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            )
            self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Not here."""


@pytest.fixture
def collector() -> Iterator[tuple[int, list[tuple[str, Any]]]]:
    spans: list[tuple[str, Any]] = []
    handler = type("Handler", (Collector,), {"spans": spans})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, spans
        server.shutdown()
        thread.join()


@contextmanager
def running(folder: Path, name: str, yaml: str, port: int) -> Iterator[tuple[Place, Popen[str], list[str]]]:
    """A host with its log; which is whole when the block has ended and the host was told to stop."""
    place, log = Place(folder / name, port), list[str]()
    place.folder.mkdir()
    (place.folder / "jota.yaml").write_text(yaml)
    (place.folder / "chatty.py").write_text(CHATTY)
    (place.folder / ".env").write_text(f"CENTER_KEY={KEY}\n")
    with place.running() as process:
        assert process.stderr is not None
        stream = process.stderr
        reader = threading.Thread(target=lambda: log.extend(stream))
        reader.start()
        place.health()
        yield place, process, log
        process.terminate()
        process.wait(20)
        reader.join(10)


def test_one_turn_through_two_machines(tmp_path: Path, collector: tuple[int, list[tuple[str, Any]]]) -> None:
    traces, spans = collector
    ports = {"center": free_port(), "metrics": free_port(), "app": free_port(), "traces": traces}
    with (
        running(tmp_path, "center", CENTER.format(**ports), ports["metrics"]) as (center, _, far_log),
        running(tmp_path, "main", MAIN.format(**ports), ports["app"]) as (main, _, log),
    ):
        told = main.chat("hello you")
        counted = metrics(ports["metrics"])
        shown = metrics(ports["app"])
        assert center.get("/health/live") == {"status": "ok"}
        _every_figure_of_the_dashboard_is_exported(counted | shown)
    turn = told["turn_id"]
    lines = [[json.loads(line) for line in each] for each in (log, far_log)]
    for found, section in zip(lines, ("app", "center"), strict=True):
        [end] = [line for line in found if line.get("turn") == turn and "tokens" in line["message"]]
        assert end["section"] == section
    whole = "".join((*log, *far_log))
    assert KEY not in whole
    assert "connecting to http://user:[secret]@example" in whole
    assert "http://x/?key=[secret]" in whole
    assert "hello you" not in whole
    assert counted["jota_generations_total"] == 1
    assert counted["jota_tokens_total"] == shown["jota_tokens_total"] > 0
    assert shown["jota_store_seconds_count"] == 4  # open_conversation, begin_turn, recall, finish_turn
    assert shown["jota_section_hooks_total"] > 0 and shown["jota_section_hook_seconds_total"] > 0
    assert shown["jota_turns_total"] == 1
    _one_trace(spans, turn)


def _one_trace(spans: list[tuple[str, Any]], turn: str) -> None:
    by_name = {span.name: (service, span) for service, span in spans}
    assert {name: service for name, (service, _) in by_name.items()} == {
        "turn": "main", "open_conversation": "main", "begin_turn": "main", "recall": "main", "answer": "main", "finish_turn": "main",
        "generation": "center",
    }  # fmt: skip
    assert {span.trace_id.hex() for _, span in spans} == {turn}
    root = by_name["turn"][1]
    assert all(span.parent_span_id == root.span_id for name, (_, span) in by_name.items() if name != "turn")
    began = [by_name[name][1].start_time_unix_nano for name in ("turn", "recall", "answer", "finish_turn")]
    assert began == sorted(began) and began[-1] <= root.end_time_unix_nano


def metrics(port: int) -> dict[str, float]:
    """Sums over all labels, by the name of the sample."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    found: dict[str, float] = {}
    for family in families:
        found.setdefault(family.name, 0)
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


def _every_figure_of_the_dashboard_is_exported(exported: dict[str, float]) -> None:
    dashboard = json.loads((ROOT / "config/grafana/jota.json").read_text())
    wanted = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\b(?:jota|process)_\w+", target["expr"])
    }
    names = exported.keys() | {f"{name}_total" for name in exported}
    assert len(wanted) > 10
    assert not wanted - names


ONE_AT_A_TIME = """
plugins:
  memory: {{plugin: jota_db}}
  llm: {{plugin: jota_inference, url: "ws://127.0.0.1:{center}", client_id: orchestrator, key: {{env: CENTER_KEY}}, sessions: 1}}
  app: {{plugin: jota_http, listen: "127.0.0.1:{app}"}}
  metrics: {{plugin: jota_metrics}}
"""


def test_turns_that_wait_for_the_engine_are_seen(tmp_path: Path) -> None:
    ports = {"center": free_port(), "metrics": free_port(), "app": free_port(), "traces": free_port()}
    slow = CENTER.format(**ports).replace("delay_s: 0.001", "delay_s: 0.1")
    one = ONE_AT_A_TIME.format(**ports)
    with (
        running(tmp_path, "center", slow, ports["metrics"]),
        running(tmp_path, "main", one, ports["app"]) as (main, *_),
    ):
        asking = [
            threading.Thread(target=main.chat, args=("one two three four five six", user))
            for user in ("ana", "ben")
        ]
        for each in asking:
            each.start()
        most: dict[str, float] = {}
        while any(each.is_alive() for each in asking):
            for name, value in metrics(ports["app"]).items():
                most[name] = max(value, most.get(name, 0))
            time.sleep(0.05)
        after = metrics(ports["app"])
    assert (most["jota_section_running"], most["jota_section_waiting"]) == (1, 1)
    assert (after["jota_section_running"], after["jota_section_waiting"]) == (0, 0)
    assert after["jota_turns_total"] == 2


def test_strangers_read_no_metrics(tmp_path: Path) -> None:
    port = free_port()
    yaml = 'plugins:\n  llm: {plugin: jota_echo}\n  metrics: {plugin: jota_metrics, listen: "127.0.0.1:%d", key: {env: CENTER_KEY}}\n'
    with running(tmp_path, "one", yaml % port, port) as (place, _, log):
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            metrics(port)
        refused.value.close()
        assert place.get("/health") == {"status": "ok"}
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {KEY}"}
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert b"jota_section_up" in answer.read()
    assert log


def test_a_listener_for_strangers_needs_a_key(tmp_path: Path) -> None:
    place = Place(tmp_path, free_port())
    (tmp_path / "jota.yaml").write_text(OPEN % place.port)
    with place.running() as process:
        assert process.stderr is not None
        assert any("but has no key" in line for line in process.stderr)


FAR = """
host: {{data: ./data}}
plugins:
  memory: {{plugin: jota_db}}
  llm: {{plugin: jota_inference, url: "ws://127.0.0.1:{nobody}"}}
  ears: {{plugin: jota_transcription, url: "ws://127.0.0.1:{nobody}"}}
  nodes: {{plugin: jota_mqtt, broker: "mqtt://127.0.0.1:{nobody}"}}
  lost: {{plugin: jota_inference, url: discover, key: {{env: CENTER_KEY}}}}
  app: {{plugin: jota_http, listen: "127.0.0.1:{app}"}}
"""


def test_the_doctor_has_a_fix_for_whatever_is_red(tmp_path: Path) -> None:
    place, nobody = Place(tmp_path, free_port()), free_port()
    (tmp_path / "jota.yaml").write_text(FAR.format(nobody=nobody, app=place.port))
    (tmp_path / ".env").write_text(f"CENTER_KEY={KEY}\n")
    with place.running():
        place.health("degraded")
        time.sleep(6)  # until what the doctor reads is written
        done = place.jota("doctor")
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    red = [number for number, line in enumerate(lines) if line.startswith("✗")]
    assert {lines[number].split()[1] for number in red} == {"llm", "ears", "nodes", "lost"}
    for number in red:
        assert "`jota discover` shows what" in lines[number] + lines[number + 1]
