"""The writer: many at once, a failing neighbour, callers that give up, full disks, retention."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jota_core.api import Code, MemoryStore, MemoryStoreError, Outcome, TurnResult, TurnStats


async def test_a_failing_write_does_not_fail_its_neighbours(store: MemoryStore) -> None:
    talk = await store.open_conversation("u")
    writes = [store.begin_turn(f"t{n}", talk.id if n % 3 else 999, "u", f"q{n}") for n in range(30)]
    writes.append(store.begin_turn("bad", talk.id, "u", "half a pair: \ud800"))
    writes.append(store.begin_turn("huge", 2**70, "u", "x"))
    results = await asyncio.gather(*writes, return_exceptions=True)
    for number, result in enumerate(results[:30]):
        if number % 3:
            assert not isinstance(result, BaseException)
        else:
            assert isinstance(result, MemoryStoreError) and result.code is Code.NOT_FOUND
    assert [r.code for r in results[30:] if isinstance(r, MemoryStoreError)] == [
        Code.INVALID_REQUEST,
        Code.NOT_FOUND,
    ]
    listed = await store.list_messages(talk.id, "u", limit=100)
    assert [m.content for m in listed] == [f"q{n}" for n in range(30) if n % 3]


async def test_nul_which_postgresql_does_not_take_is_shown_as_such_everywhere(store: MemoryStore) -> None:
    talk = await store.open_conversation("u")
    record = await store.begin_turn("t", talk.id, "u", "a\0b")
    await store.finish_turn(record, TurnResult(Outcome.COMPLETE, "\0", thought="\0"))
    assert [m.content for m in await store.recall(talk.id, "u", limit=2)] == ["a\ufffdb", "\ufffd"]


async def test_callers_that_give_up_harm_nobody(store: MemoryStore) -> None:
    talk = await store.open_conversation("u")
    records = [await store.begin_turn(f"t{n}", talk.id, "u", f"q{n}") for n in range(20)]
    ends = [
        asyncio.ensure_future(store.finish_turn(record, TurnResult(Outcome.COMPLETE, f"a{n}")))
        for n, record in enumerate(records)
    ]
    await asyncio.sleep(0)
    for end in ends[::2]:
        end.cancel()
    await asyncio.gather(*ends, return_exceptions=True)
    await store.begin_turn("last", talk.id, "u", "done")
    listed = await store.list_messages(talk.id, "u", limit=100)
    recalled = await store.recall(talk.id, "u", limit=100)
    whole = [text for n in range(20) for text in (f"q{n}", f"a{n}")]
    assert [m.content for m in listed] == [*whole, "done"]
    assert list(recalled) == listed[:-1]


async def test_a_turn_given_up_before_it_was_written_is_not_stored(store: MemoryStore) -> None:
    talk = await store.open_conversation("u")
    begun = [asyncio.ensure_future(store.begin_turn(f"t{n}", talk.id, "u", f"q{n}")) for n in range(3)]
    await asyncio.sleep(0)
    begun[1].cancel()
    await asyncio.gather(*begun, return_exceptions=True)
    assert [m.content for m in await store.list_messages(talk.id, "u")] == ["q0", "q2"]


async def test_too_many_waiting_writes_are_busy(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from jota_db.sql import writer

    monkeypatch.setattr(writer, "PATIENCE_S", 0.0)
    talk = await store.open_conversation("u")
    writes = [store.begin_turn(f"t{n}", talk.id, "u", "q") for n in range(writer.WAITING + 50)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    codes = [r.code for r in results if isinstance(r, MemoryStoreError)]
    assert codes and set(codes) == {Code.BUSY}
    assert len(codes) <= 50


async def test_recall_from_memory_equals_recall_from_the_file(tmp_path: Path, section: Any) -> None:
    async with section(tmp_path) as (_, store):
        talk = await store.open_conversation("u")
        for number in range(300):
            record = await store.begin_turn(f"t{number}", talk.id, "u", f"q{number}")
            result = TurnResult(
                Outcome.COMPLETE, f"a{number}", "hm", "note", stats=TurnStats(model="m", total_ms=1.5)
            )
            await store.finish_turn(record, result)
        known = {
            limit: list(await store.recall(talk.id, "u", limit=limit)) for limit in (1, 7, 200, 400, 900)
        }
    async with section(tmp_path) as (_, store):
        for limit, messages in known.items():
            assert list(await store.recall(talk.id, "u", limit=limit)) == messages
            assert len(messages) == min(limit, 600)


async def test_a_busy_loop_does_not_starve_the_store(store: MemoryStore) -> None:
    """A loop that sends all the time gives the interpreter lock away for too short a time to be taken."""
    talk = await store.open_conversation("u")
    near, far = socket.socketpair()
    busy = True

    async def flood() -> None:
        while busy:
            until = time.perf_counter() + 0.00005
            while time.perf_counter() < until:
                pass
            near.send(b"a frame")
            far.recv(100)
            await asyncio.sleep(0)

    flooding = asyncio.create_task(flood())
    took = []
    for number in range(15):
        started = time.perf_counter()
        await store.begin_turn(f"t{number}", talk.id, "u", "Hello")
        took.append(time.perf_counter() - started)
    busy = False
    await flooding
    near.close()
    far.close()
    assert sorted(took)[7] < 0.02, f"a write took {sorted(took)[7] * 1000:.1f} ms"


async def test_turns_that_end_in_another_order_keep_their_order(store: MemoryStore) -> None:
    talk = await store.open_conversation("u")
    first = await store.begin_turn("t1", talk.id, "u", "q1")
    second = await store.begin_turn("t2", talk.id, "u", "q2")
    await store.finish_turn(second, TurnResult(Outcome.COMPLETE, "a2"))
    assert [m.content for m in await store.recall(talk.id, "u", limit=9)] == ["q2", "a2"]
    await store.finish_turn(first, TurnResult(Outcome.COMPLETE, "a1"))
    assert [m.content for m in await store.recall(talk.id, "u", limit=9)] == ["q1", "a1", "q2", "a2"]


async def test_deleted_words_are_nowhere_in_the_file(tmp_path: Path, section: Any) -> None:
    async with section(tmp_path) as (_, store):
        talk = await store.open_conversation("u")
        record = await store.begin_turn("t", talk.id, "u", "my secret is XYZZY-4711")
        await store.finish_turn(record, TurnResult(Outcome.COMPLETE, "XYZZY-4711 it is. " * 500))
        await store.delete_conversation(talk.id, "u")
        for path in tmp_path.glob("jota.db*"):
            assert b"XYZZY-4711" not in path.read_bytes(), path


async def test_what_nobody_touched_is_forgotten(tmp_path: Path, section: Any) -> None:
    async with section(tmp_path) as (_, store):
        talks = [await store.open_conversation("u", new=True) for _ in range(120)]
        await store.begin_turn("t", talks[3].id, "u", "still running")
    with sqlite3.connect(tmp_path / "jota.db") as db:
        db.execute("UPDATE conversations SET updated_at = updated_at - 8 * 86400 * 1000000")
    db.close()
    async with section(tmp_path, retention_days=7) as (_, store):
        fresh = await store.open_conversation("v")
        for _ in range(200):
            if not await store.list_conversations("u"):
                break
            await asyncio.sleep(0.02)
        assert await store.list_conversations("u") == []
        assert [item.id for item in await store.list_conversations("v")] == [fresh.id]


async def test_another_program_that_holds_the_file_is_named(tmp_path: Path, section: Any) -> None:
    async with section(tmp_path) as (plugin, store):
        talk = await store.open_conversation("u")
        other = sqlite3.connect(tmp_path / "jota.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MemoryStoreError, match="Another program holds it") as refused:
            await store.begin_turn("t", talk.id, "u", "Hello")
        assert refused.value.code is Code.MEMORY_UNAVAILABLE
        assert not (await plugin.jota_health()).ok
        assert await store.recall(talk.id, "u", limit=5) == []
        other.execute("ROLLBACK")
        other.close()
        await store.begin_turn("t", talk.id, "u", "Hello")
        assert (await plugin.jota_health()).ok


FULL_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import running
from jota_core.api import MemoryStoreError, Outcome, TurnResult

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    async with running(Path(sys.argv[1])) as (plugin, store):
        talk = await store.open_conversation("u")
        record = await store.begin_turn("before", talk.id, "u", "before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        kept = []
        for number in range(100):
            try:
                await store.begin_turn(f"t{number}", talk.id, "u", "x" * 20_000)
                kept.append(f"t{number}")
            except MemoryStoreError as error:
                print(error.code, error.sentence)
                break
        else:
            raise SystemExit("the disk never got full")
        print((await plugin.jota_health()).ok, len(await store.list_messages(talk.id, "u")) == len(kept) + 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await store.finish_turn(record, TurnResult(Outcome.COMPLETE, "after"))
        print((await plugin.jota_health()).ok, [m.content for m in await store.recall(talk.id, "u", limit=2)])
asyncio.run(main())
"""


def test_a_full_disk_is_told_and_survived(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), str(Path(__file__).parent)],
        capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    refused, during, after = done.stdout.splitlines()
    assert refused.startswith("memory_unavailable The store ")
    assert "full" in refused
    assert during == "False True"
    assert after == "True ['before', 'after']"
