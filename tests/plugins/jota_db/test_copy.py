"""`jota db copy`: everything arrives, and nothing is written over."""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.postgres import PostgresServer
from jota_core.api import MemoryStore, Outcome, TurnResult


def copy(folder: Path, source: str, target: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jota_core.cli", "db", "copy", source, target, "--data", str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


async def fill(store: MemoryStore) -> None:
    for owner in ("ana", "ben"):
        for number in range(3):
            talk = await store.open_conversation(owner, new=True)
            for turn in range(250):  # more than a page in all
                record = await store.begin_turn(f"{owner}-{number}-{turn}", talk.id, owner, f"¿{turn}? 🕰️")
                await store.finish_turn(record, TurnResult(Outcome.COMPLETE, f"{turn}!", note="now"))
    keys = ["a", "a-b", "a.b", "a_b", "ab", *(f"k{number}" for number in range(600))]
    for key in keys:
        await store.save_record("jobs", key, {"of": key})
    await store.save_record("jobs", "a", {"¿": "🕰️"})
    record = await store.begin_turn("cut", talk.id, "ben", "a turn that still runs")
    await store.checkpoint(record, "so far")


async def told(store: MemoryStore) -> list[Any]:
    found: list[Any] = [await store.records("jobs")]
    for owner in ("ana", "ben"):
        talks = await store.list_conversations(owner)
        found.append([(talk.id, talk.title, talk.created_at, talk.updated_at) for talk in talks])
        found += [await store.list_messages(talk.id, owner, limit=1000) for talk in talks]
    return found


async def test_there_and_back_everything_is_the_same(
    tmp_path: Path, section: Any, postgres: PostgresServer
) -> None:
    there = postgres.create(f"copy_{secrets.token_hex(8)}")
    async with section(tmp_path, store="sqlite:///one.db") as (_, store):
        await fill(store)
    done = copy(tmp_path, "sqlite:///one.db", there)
    assert done.returncode == 0, done.stderr
    assert f"store: {there.replace('jota@', '')}" in done.stdout
    assert copy(tmp_path, there, "sqlite:///two.db").returncode == 0
    stores = []
    for url in ("sqlite:///one.db", there, "sqlite:///two.db"):
        async with section(tmp_path, store=url) as (_, store):
            stores.append(await told(store))
            talk = await store.open_conversation("ana", new=True)  # numbers go on where they were
            assert talk.id == 7
            await store.finish_turn(
                await store.begin_turn("new", talk.id, "ana", "q"), TurnResult(Outcome.COMPLETE, "a")
            )
            assert (await store.list_conversations("ana"))[0].id == 7
    assert stores[0] == stores[1] == stores[2]
    assert len(stores[0][0]) == 605
    assert stores[0][-3][-1].content == "so far [INTERRUPTED]"


async def test_nothing_is_written_over(tmp_path: Path, section: Any) -> None:
    for name in ("one", "two"):
        async with section(tmp_path, store=f"sqlite:///{name}.db") as (_, store):
            await store.open_conversation(name)
    before = (tmp_path / "two.db").read_bytes()
    done = copy(tmp_path, "sqlite:///one.db", "sqlite:///two.db")
    assert (done.returncode, "holds something already" in done.stderr) == (2, True)
    assert (tmp_path / "two.db").read_bytes() == before


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("sqlite:///none.db", "sqlite:///two.db", "There is no store"),
        ("jota.db", "sqlite:///two.db", "not a store that this version can open"),
        ("sqlite:///one.db", "postgresql://jota@127.0.0.1:1/jota", "Connect"),
    ],
)
async def test_mistakes_are_told_in_a_sentence(
    tmp_path: Path, section: Any, source: str, target: str, says: str
) -> None:
    async with section(tmp_path, store="sqlite:///one.db"):
        pass
    done = copy(tmp_path, source, target)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


async def test_a_store_in_use_is_not_copied(tmp_path: Path, section: Any) -> None:
    async with section(tmp_path, store="sqlite:///one.db"):
        done = copy(tmp_path, "sqlite:///one.db", "sqlite:///two.db")
        assert (done.returncode, "in use by another process" in done.stderr) == (2, True)
