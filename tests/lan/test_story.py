"""An orchestrator with no address in its YAML: it finds greenhouse, loses it, goes on with attic, and goes home."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from benchmarks.lan.house import Host, House, wait_for
from benchmarks.postgres import PostgresServer

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
