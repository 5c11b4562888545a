"""An orchestrator with no address in its YAML: it finds greenhouse, loses it, goes on with attic, and goes home."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from benchmarks.lan.house import Host, House, wait_for
from benchmarks.postgres import PostgresServer

MACHINES = pytest.mark.parametrize("house", ["machines"], indirect=True)
LONG = " ".join(f"word{number}" for number in range(200))
"""An answer of ten seconds."""


@pytest.fixture
def memory(house: House) -> Iterator[Host]:
    """JotaDB on a PostgreSQL of its own."""
    machine = house.network.add("cellar")
    with ExitStack() as stack:
        with machine.inside():
            server = stack.enter_context(PostgresServer())
            store = server.create("jota")
        host = house.host("cellar", "db", f"memory.store={store}")
        host.start()
        yield host
        host.stop()


def orchestrator(house: House, memory: Host) -> Host:
    store = next(each.partition("=")[2] for each in memory.options)
    told = memory.jota("clients", "add", "orchestrator", "--type", "service", "--store", store)
    key = max(told.split(), key=len)
    host = house.host("main", "discover", ORCHESTRATOR_API_KEY=key)
    host.start()
    return host


def test_it_finds_greenhouse_loses_it_goes_on_with_attic_and_goes_home(house: House, memory: Host) -> None:
    main = orchestrator(house, memory)
    wait_for(lambda: main.is_well("memory", "cellar.local"), "the memory to be found")
    with main.app() as app:
        assert app.ask("anybody?")["code"] == "backend_unavailable"

        greenhouse = house.center("greenhouse")
        wait_for(lambda: main.is_well("llm", "greenhouse.local"), "greenhouse to be found")
        first = app.ask("hello greenhouse")
        assert (first["type"], first["stats"]["backend"]) == ("end", "llm")
        assert first["answer"].startswith("hello greenhouse")

        house.center("attic")
        wait_for(lambda: main.is_well("spare", "attic.local"), "attic to be found")
        app.say(LONG)
        app.until("token")
        time.sleep(1)
        greenhouse.kill()
        cut = app.until("end", "error", "aborted")[-1]
        assert cut["type"] == "error"
        assert cut["code"] == "upstream_lost"

        second = app.ask("hello attic")
        assert (second["type"], second["stats"]["backend"]) == ("end", "spare")

        greenhouse.start()
        wait_for(lambda: main.is_well("llm", "greenhouse.local"), "greenhouse to be back")
        third = app.ask("home again")
        assert (third["type"], third["stats"]["backend"]) == ("end", "llm")
    _everything_is_kept(main)


BROKER = """
plugins:
  lan: {plugin: jota_zeroconf, also: [{type: _mqtt._tcp, port: 1883}]}
"""


@contextmanager
def broker(house: House, tmp_path: Path) -> Iterator[None]:
    """Mosquitto on a machine of its own, announced by a Jota that does nothing else."""
    command = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if command is None:
        pytest.skip("Mosquitto is not installed (Debian, Ubuntu: sudo apt install mosquitto)")
    config, yaml = tmp_path / "mosquitto.conf", tmp_path / "broker.yaml"
    config.write_text("listener 1883 0.0.0.0\nallow_anonymous true\n")
    yaml.write_text(BROKER)
    machine = house.network.add("porch")
    with machine.inside():
        process = subprocess.Popen([command, "-c", config], stderr=subprocess.DEVNULL)
    try:
        house.host("porch", yaml).start()
        yield
    finally:
        process.terminate()
        process.wait(10)


@MACHINES
def test_ears_and_broker_are_found_too(house: House, memory: Host, tmp_path: Path) -> None:
    ears = house.host("ears", "transcription")
    ears.start()
    with broker(house, tmp_path):
        main = orchestrator(house, memory)
        wait_for(lambda: main.is_well("ears", "ears.local"), "the ears to be found")
        wait_for(lambda: "Connected to mqtt://porch.local:1883" in main.log, "the broker to be found")
        ears.stop()
        wait_for(lambda: not main.is_well("ears"), "the ears to be missed")
        ears.start()
        wait_for(lambda: main.is_well("ears", "ears.local"), "the ears to be back")


@MACHINES
def test_memory_that_goes_away_is_found_again_with_all_that_was_said(house: House, memory: Host) -> None:
    main = orchestrator(house, memory)
    house.center("greenhouse")
    wait_for(lambda: main.is_well("memory") and main.is_well("llm"), "everything to be found")
    with main.app() as app:
        assert app.ask("hello greenhouse")["persisted"]
        memory.kill()
        assert not app.ask("hello attic")["persisted"]
        memory.start()
        wait_for(lambda: main.is_well("memory", "cellar.local"), "the memory to be back")
        assert app.ask("home again")["persisted"]
    found = main.get("/api/v1/conversations?user_id=ana")["conversations"]
    kept = main.get(f"/api/v1/conversations/{found[0]['id']}/messages?user_id=ana")["messages"]
    said = [each["content"] for each in kept if each["role"] == "user"]
    assert said == ["hello greenhouse", "hello attic", "home again"]


@MACHINES
def test_another_memory_is_not_taken_without_consent(house: House, memory: Host) -> None:
    main = orchestrator(house, memory)
    wait_for(lambda: main.is_well("memory"), "the memory to be found")
    memory.stop()
    other = house.host("garage", "db")
    other.start()
    wait_for(
        lambda: "_jota-db._tcp at garage.local" in main.log or "Found _jota-db._tcp at garage" in main.log,
        "it to be seen",
    )
    wait_for(lambda: "`pin: " in main.sections()["memory"]["detail"], "the reason to be told")
    assert not main.is_well("memory")


def _everything_is_kept(main: Host) -> None:
    kept = main.get("/api/v1/conversations?user_id=ana")["conversations"]
    assert len(kept) == 1
    messages = main.get(f"/api/v1/conversations/{kept[0]['id']}/messages?user_id=ana")["messages"]
    said = [(each["role"], each["content"].split("\n")[0][:16]) for each in messages]
    assert said[0] == ("user", "anybody?")
    assert [text for role, text in said if role == "user"][1:] == [
        "hello greenhouse", LONG[:16], "hello attic", "home again",
    ]  # fmt: skip
    cut = next(each for each in messages if each["content"].endswith("[INTERRUPTED]"))
    assert cut["content"].startswith("word0 word1 ")
