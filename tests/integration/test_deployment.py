"""What can be checked of containers and services without an engine: lint, files that exist, deployments that read well."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
UNIT = ROOT / "config/systemd/jota.service"
KEYS = ("JOTA_APP_KEY", "JOTA_CENTER_KEYS", "AUTH_TOKEN", "JOTA_DB_API_KEY", "JOTA_MQTT_PASSWORD")


def check(config: Path) -> str:
    """What `jota check` says, with a key for everything."""
    environ = {**os.environ, **dict.fromkeys(KEYS, "id=0123456789abcdef")}
    command = [sys.executable, "-m", "jota_core.cli", "check", "-c", str(config)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_dockerfile_has_no_lint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("there is no wheel of hadolint for this system")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_what_the_dockerfile_copies_is_there_and_sent_to_the_builder() -> None:
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert len(copied) > 4
    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored


def test_the_image_runs_as_nobody_special_and_says_how_it_is() -> None:
    last = DOCKERFILE.rpartition("FROM ")[2]
    assert re.search(r"^USER \d{4,}$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    script = ROOT / "config/container.sh"
    assert os.access(script, os.X_OK)
    assert f"/etc/jota/{script.name}" in last
    assert subprocess.run(["sh", "-n", script], timeout=10).returncode == 0


@pytest.mark.parametrize("name", [name for name, each in COMPOSE["services"].items() if "build" in each])
def test_every_service_is_a_deployment_of_config(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["network_mode"] == "host"
    assert service["restart"] == "unless-stopped"
    environ = service["environment"]
    config = environ.get("JOTA_CONFIG", re.search(r"JOTA_CONFIG=(\S+)", DOCKERFILE)[1])  # type: ignore[index]
    live = environ.get("JOTA_LIVE", re.search(r"JOTA_LIVE=(\S+)", DOCKERFILE)[1])  # type: ignore[index]
    file = ROOT / "config" / Path(config).name
    assert "sections." in check(file)
    port = live.removeprefix("http://127.0.0.1:").partition("/")[0]
    assert f":{port}" in file.read_text(), "its health check asks where it listens"


def test_every_profile_is_there() -> None:
    profiles = {profile for each in COMPOSE["services"].values() for profile in each["profiles"]}
    assert profiles == {"all", "inference", "transcription", "db", "broker"}
    named = {
        each.partition(":")[0] for service in COMPOSE["services"].values() for each in service["volumes"]
    }
    assert {each for each in named if not each.startswith(".")} == set(COMPOSE["volumes"])


def test_the_keys_of_every_deployment_are_explained() -> None:
    wanted = set()
    for config in (ROOT / "config").glob("*.yaml"):
        wanted |= set(re.findall(r"\{env: (\w+)\}", config.read_text()))
    explained = set(re.findall(r"^# (\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert wanted <= explained


def test_the_service_of_systemd(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as the library documents it
    unit.read(UNIT)
    service = unit["Service"]
    assert service["RestartPreventExitStatus"] == "2"
    assert int(service["TimeoutStopSec"]) >= 20
    program, *options = service["ExecStart"].split()
    assert program.endswith("/bin/jota")
    settings = [each for option, each in zip(options, options[1:], strict=False) if option == "--set"]
    done = subprocess.run(
        [sys.executable, "-m", "jota_core.cli", "check", "-c", ROOT / "jota.yaml", *(f"--set={each}" for each in settings)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed; the unit was read, but not verified")
    there = tmp_path / UNIT.name
    there.write_text(UNIT.read_text().replace(program, sys.executable).replace("User=jota", "User=root"))
    verified = subprocess.run([analyze, "verify", there], capture_output=True, text=True, timeout=60)
    assert "jota.service" not in verified.stderr, verified.stderr
