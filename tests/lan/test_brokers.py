"""Brokers on a LAN with liars: a password goes to nobody while two have the pinned name."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.lan.house import Host, House, wait_for
from jota_mqtt.nodes.passwords import line

from .test_faults import stranger

PASSWORD = "the-secret-of-this-test"
BROKER = """
plugins:
  lan: {plugin: jota_zeroconf, also: [{type: _mqtt._tcp, port: 1883}]}
"""
MAIN = f"""
plugins:
  memory: {{plugin: jota_db}}
  lan: {{plugin: jota_zeroconf}}
  app: {{plugin: jota_http, listen: "0.0.0.0:8000", keys: {{app: {{key: {{env: JOTA_APP_KEY}}, roles: [chat, admin]}}}}}}
  nodes: {{plugin: jota_mqtt, broker: discover, pin: cellar, username: jota, password: {PASSWORD}}}
"""
CONFIG = """listener 1883 0.0.0.0
allow_anonymous false
password_file {folder}/passwd
user root
"""


class Broker:
    """Mosquitto with a password, on the machine `cellar`, announced by a Jota that does nothing else."""

    def __init__(self, house: House, folder: Path, command: str) -> None:
        folder.mkdir()
        (folder / "passwd").write_text(line("jota", PASSWORD) + "\n")
        (folder / "passwd").chmod(0o640)
        (folder / "mosquitto.conf").write_text(CONFIG.format(folder=folder))
        (folder / "broker.yaml").write_text(BROKER)
        self.host = house.host("cellar", folder / "broker.yaml")
        self._command = [command, "-c", str(folder / "mosquitto.conf")]
        self._process: subprocess.Popen[bytes]

    def start(self) -> None:
        with self.host.machine.inside():
            self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)


@pytest.fixture
def broker(machines: House, tmp_path: Path) -> Iterator[Broker]:
    command = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if command is None:
        pytest.skip("Mosquitto is not installed (Debian, Ubuntu: sudo apt install mosquitto)")
    broker = Broker(machines, tmp_path / "broker", command)
    broker.start()
    broker.host.start()
    yield broker
    broker.kill()


@contextmanager
def liar(house: House, tmp_path: Path) -> Iterator[Path]:
    """Announces itself as the broker, with the host name of ours and an address of its own."""
    with stranger(house, tmp_path, type="_mqtt._tcp", name="other", host="cellar", id="other") as heard:
        yield heard


def main_host(house: House, tmp_path: Path) -> Host:
    (tmp_path / "main.yaml").write_text(MAIN)
    host = house.host("main", tmp_path / "main.yaml")
    host.start()
    return host


def test_a_liar_with_the_pinned_name_is_not_told_the_password(
    machines: House, tmp_path: Path, broker: Broker
) -> None:
    with liar(machines, tmp_path) as heard:
        main = main_host(machines, tmp_path)
        wait_for(
            lambda: "claim to be 'cellar'" in main.sections()["nodes"]["detail"], "the reason to be told"
        )
        assert main.sections()["nodes"]["state"] == "degraded"
        assert PASSWORD.encode() not in heard.read_bytes()


def test_a_liar_who_comes_later_is_not_told_the_password_when_the_line_breaks(
    machines: House, tmp_path: Path, broker: Broker
) -> None:
    main = main_host(machines, tmp_path)
    wait_for(lambda: "Connected to mqtt://cellar.local:1883" in main.log, "the broker to be found")
    with liar(machines, tmp_path) as heard:
        wait_for(lambda: "claim to be 'cellar'" in main.sections()["nodes"]["hint"], "the reason to be told")
        broker.kill()
        wait_for(lambda: "claim to be 'cellar'" in main.sections()["nodes"]["detail"], "the line to break")
        broker.start()
        assert PASSWORD.encode() not in heard.read_bytes()
