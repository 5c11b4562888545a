"""No secret of the configuration is written anywhere, whoever writes and however it is spelt."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from jota_core.testing import free_port

from .conftest import Place

KEY = r"""a"quote'd\key/0123456789"""
PASSWORD = "plain-pass-0123"
SPELT = (
    KEY,
    repr(KEY)[1:-1],
    json.dumps(KEY)[1:-1],
    json.dumps(json.dumps(KEY)[1:-1])[1:-1],
    quote(KEY, safe=""),
)
LEAK = """
import asyncio
import json
import threading
import warnings
from urllib.parse import quote
from pydantic import SecretStr
from jota_core.api import Health, NotReady, Plugin, PluginContext, Settings, hookimpl

class LeakSettings(Settings):
    key: SecretStr
    url: str

class Leak(Plugin[LeakSettings]):
    Settings = LeakSettings

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        key = self.settings.key.get_secret_value()
        ctx.log.info("%d characters", len(key))
        ctx.log.info("as it is: %s", key)
        ctx.log.info("as Python shows it: %r", [key])
        ctx.log.info("as JSON: %s", json.dumps({"key": key}))
        ctx.log.info("in a URL: http://host/?key=%s", quote(key, safe=""))
        ctx.log.info("in a URL of the file: %s", self.settings.url)
        ctx.log.info("not a number: %d", key)
        warnings.warn(f"a warning: {key}", stacklevel=1)
        thread = threading.Thread(target=self._fail, args=(key,), name="leaking")
        thread.start()
        await asyncio.to_thread(thread.join)
        raise NotReady(f"http://user:{key}@host does not answer. Start it.")

    def _fail(self, key: str) -> None:
        raise ValueError(f"thread: {key}")
"""
YAML = """
host: {log_format: %s, data: ./data}
plugins:
  llm: {plugin: jota_echo}
  leak: {plugin: ./leak.py, key: {env: LEAK_KEY}, url: "postgresql+asyncpg://jota:%s@host/jota"}
  metrics: {plugin: jota_metrics, listen: "127.0.0.1:%d"}
"""


@pytest.fixture
def leaking(tmp_path: Path) -> Place:
    """A host with a plugin that tells its key wherever it can."""
    place = Place(tmp_path, free_port())
    (tmp_path / "leak.py").write_text(LEAK)
    (tmp_path / ".env").write_text(f"LEAK_KEY={KEY}\n")
    (tmp_path / "jota.yaml").write_text(YAML % ("console", PASSWORD, place.port))
    return place


def _holds_no_secret(text: str) -> None:
    found = [each for each in (*SPELT, PASSWORD) if each in text]
    assert not found, text


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_secret_in_log_or_health(leaking: Place, style: str) -> None:
    with leaking.running("--set", f"host.log_format={style}") as process:
        health = leaking.health("degraded")
        doctor = leaking.jota("doctor").stdout
        snapshot = (leaking.folder / "data/health.json").read_text()
        process.terminate()
        log = process.communicate(timeout=20)[1]
    for text in (log, json.dumps(health), doctor, snapshot):
        _holds_no_secret(text)
        assert "http://user:[secret]@host does not answer. Start it." in text
    for said in ("as it is: [secret]", "?key=[secret]", "jota:[secret]@host/jota", "a warning: [secret]"):
        assert said in log
    assert f"{len(KEY)} characters" in log
    assert "thread: [secret]" in log and "Thread leaking failed." in log
    assert "cannot be written (TypeError)" in log and "Logging error" not in log
    if style == "json":
        assert all(json.loads(line)["message"] for line in log.splitlines())
        assert {"leak", None} <= {json.loads(line).get("section") for line in log.splitlines()}


def test_no_secret_in_the_file_of_a_crash(leaking: Place) -> None:
    """A worker's, which cannot use the data folder: that is named like the key."""
    data, file = leaking.folder / KEY, leaking.folder / "jota-crash.log"
    data.mkdir(parents=True)
    (data / "models").write_text("in the way")
    with leaking.running("--workers", "2", "--data", str(data)) as process:
        assert process.stderr is not None
        log = ""
        while "Worker 2 ended" not in log:
            log += next(process.stderr)
        process.terminate()
        log += process.communicate(timeout=20)[1]
    for text in (log, file.read_text()):
        _holds_no_secret(text)
        assert "File exists:" in text and "[secret]/models" in text
