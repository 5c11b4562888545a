"""The command line as a user meets it: real processes, sentences, exit codes."""

from __future__ import annotations

import logging
import signal
import socket
import time

import pytest

from jota_core.cli.logs import ConsoleFormatter
from jota_core.testing import free_port

from .conftest import Place
from .crew import wait_for


def test_check_says_fine_or_every_problem(place: Place) -> None:
    good = place.jota("check")
    assert (good.returncode, good.stdout) == (0, "jota.yaml: fine, 3 sections.\n"), good.stderr
    bad = place.jota("check", "--set", "plugins.app.lisen=1", "--set", "turns.queue_limit=none")
    assert bad.returncode == 2
    assert 'not a known setting (did you mean "listen"?)' in bad.stderr
    assert "must be a whole number" in bad.stderr
    assert "Traceback" not in bad.stderr


def test_a_wrong_option_is_a_sentence(place: Place) -> None:
    wrong = place.jota("run", "--colour")
    assert wrong.returncode == 2
    assert "No such option" in wrong.stderr
    missing = place.jota("run", "-c", "none.yaml")
    assert missing.returncode == 2
    assert "there is no such file; name one with -c FILE" in missing.stderr


def test_a_plugin_that_exits_on_import_is_named(place: Place) -> None:
    (place.folder / "bad.py").write_text("import sys\nsys.exit(7)\n")
    found = place.jota("check", "--set", "plugins.bad.plugin=./bad.py")
    assert found.returncode == 2
    assert "plugins.bad" in found.stderr
    assert "it called exit (7)" in found.stderr
    safe = place.jota("check", "--safe", "--set", "plugins.bad.plugin=./bad.py")
    assert safe.returncode == 0, safe.stderr


def test_commands_of_plugins_read_the_same_env_file_as_the_host(place: Place) -> None:
    (place.folder / ".env").write_text("JOTA_DATA=elsewhere\n")
    added = place.jota("clients", "add", "kim")
    assert added.returncode == 0, added.stderr
    assert (place.folder / "elsewhere/jota.db").exists()
    assert not (place.folder / "data").exists()
    (place.folder / ".env").write_bytes(b"\xff\xfe")
    refused = place.jota("clients", "list")
    assert (refused.returncode, refused.stderr) == (2, ".env: it cannot be read: it is not UTF-8\n")


def test_a_host_answers_remembers_and_stops(place: Place) -> None:
    with place.running() as host:
        place.health()
        first = place.chat("the boiler code is 4711")
        assert "4711" in first["response"]
        assert (place.folder / "data").stat().st_mode & 0o777 == 0o700
        second = place.jota("run", "--set", f"plugins.app.listen=127.0.0.1:{free_port()}")
        assert second.returncode == 2
        assert f"process {host.pid}" in second.stderr
        assert str(host.pid) in place.jota("plugins").stdout
        doctor = place.jota("doctor")
        assert doctor.returncode == 0, doctor.stdout
        began = time.monotonic()
        host.send_signal(signal.SIGTERM)
        assert host.wait(10) == 0
        assert time.monotonic() - began < 2, "an idle host stops within two seconds"
    with place.running():
        place.health()
        assert place.chat("again")["conversation_id"] == first["conversation_id"]


def test_a_port_in_use_is_a_waiting_door_that_recovers(place: Place) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", place.port))
        other.listen()
        with place.running() as host:
            assert host.stderr is not None
            line = next(line for line in host.stderr if "in use" in line)
            assert f"127.0.0.1:{place.port} is in use by another program" in line
            other.close()
            place.health()


def test_a_required_section_that_fails_ends_the_host(place: Place) -> None:
    options = ("--set", "plugins.app.required=true", "--set", f"plugins.app.listen=0.0.0.0:{place.port}")
    found = place.jota("run", *options)
    assert found.returncode == 3
    assert "has no keys" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_data_folder_that_cannot_be_made_is_a_sentence(place: Place) -> None:
    (place.folder / "file").write_text("")
    found = place.jota("run", "--data", str(place.folder / "file" / "data"))
    assert found.returncode == 2
    assert "cannot be written" in found.stderr


def test_the_log_cannot_be_forged() -> None:
    record = logging.LogRecord(
        "jota", logging.INFO, "", 0, "user %s", ("a\n12:00:00 error \x1b[31mred",), None
    )
    line = ConsoleFormatter().format(record)
    assert "\n" not in line
    assert "\x1b" not in line


HANGING = """
import asyncio
import time
from pathlib import Path
from jota_core.api import Plugin, PluginContext, Settings, hookimpl

class HangingSettings(Settings):
    how: str

class Hanging(Plugin[HangingSettings]):
    Settings = HangingSettings

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        ctx.on_close(self.close)
        Path("hangs").touch()
        await getattr(self, self.settings.how)()

    async def close(self) -> None:
        Path("closed").touch()

    async def waits(self) -> None:
        await asyncio.sleep(600)

    async def thread(self) -> None:
        await asyncio.to_thread(time.sleep, 600)

    async def deaf(self) -> None:
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass
"""


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one", "workers"])
@pytest.mark.parametrize("how", ["waits", "thread", "deaf"])
def test_a_stop_during_the_start_does_not_wait_for_it(
    place: Place, how: str, workers: tuple[str, ...]
) -> None:
    (place.folder / "hanging.py").write_text(HANGING)
    yaml = (place.folder / "jota.yaml").read_text().replace("drain_s: 2", "drain_s: 2, stop_s: 0.5")
    (place.folder / "jota.yaml").write_text(f"{yaml}  hanging: {{plugin: ./hanging.py, how: {how}}}\n")
    with place.running(*workers) as host:
        wait_for((place.folder / "hangs").exists, "the set-up to hang")
        began = time.monotonic()
        host.terminate()
        assert host.wait(10) == 0
        assert time.monotonic() - began < 4
        assert (place.folder / "closed").exists()
        assert host.stderr is not None
        assert "is ready" not in host.stderr.read()
