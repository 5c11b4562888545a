"""The client of a JotaDB on another machine: the same contract, and what happens while that is away."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jota_core.api import AuthFailed, Code, Credentials, MemoryStore, MemoryStoreError, Outcome, TurnResult
from jota_core.testing import free_port
from jota_core.testing.contracts.memory import MemoryStoreContract
from jota_db import JotaDb
from jota_db.server.door import DbDoor

DONE = TurnResult(Outcome.COMPLETE, "yes")
Rest = Any


class TestFarStore(MemoryStoreContract):
    @pytest.fixture
    def url(self) -> str:
        return "sqlite:///jota.db"  # what is behind the server is tested without the way to it

    @pytest.fixture
    async def store(self, rest: Rest, client: Any, tmp_path: Path) -> AsyncIterator[MemoryStore]:
        async with client(tmp_path / "far", rest.base, await rest.add("orch", "service")) as (_, store):
            yield store


class Server:
    """A JotaDB that can go away and come back, on one port and with one store."""

    def __init__(self, folder: Path, section_context: Any) -> None:
        self._folder = folder
        self._context = section_context
        self.port = free_port()
        self.store: Any = None

    async def start(self) -> None:
        from pydantic import SecretStr

        settings = JotaDb.Settings(
            listen=f"127.0.0.1:{self.port}", key=SecretStr("bearer-of-the-test-0123456789")
        )
        plugin, self.context = JotaDb(settings), self._context(self._folder)
        (self.store,), (door,) = plugin.jota_memories(), plugin.jota_transports()
        assert isinstance(door, DbDoor)
        await plugin.jota_setup(self.context)
        self.serving = asyncio.create_task(door.serve(None))  # type: ignore[arg-type]  # it asks no session
        while not door.port:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.serving.cancel()
        await asyncio.gather(self.serving, return_exceptions=True)
        await self.context.close()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
async def server(tmp_path: Path, context_kind: Any) -> AsyncIterator[Server]:
    found = Server(tmp_path / "server", context_kind)
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def key(server: Server) -> str:
    from jota_db.people import registry

    _, made = await server.store.inner.change(lambda sql: registry.add_service(sql, "orch"))
    return str(made)


async def until(condition: Any, limit_s: float = 6.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.02)


async def test_away_in_mid_conversation_everything_is_there_once_afterwards(
    server: Server, key: str, client: Any, tmp_path: Path
) -> None:
    async with client(tmp_path / "far", server.base, key) as (plugin, store):
        talk = await store.open_conversation("ana")
        assert await store.finish_turn(await store.begin_turn("t0", talk.id, "ana", "q0"), DONE) is True
        assert len(await store.recall(talk.id, "ana", limit=50)) == 2
        running = await store.begin_turn("t1", talk.id, "ana", "q1")
        await server.stop()
        await store.checkpoint(running, "so far")
        assert await store.finish_turn(running, DONE) is False
        for number in range(2, 6):
            assert (await store.open_conversation("ana")).id == talk.id
            record = await store.begin_turn(f"t{number}", talk.id, "ana", f"q{number}")
            known = [m.content for m in await store.recall(talk.id, "ana", limit=50)]
            assert known == [text for earlier in range(number) for text in (f"q{earlier}", "yes")]
            assert await store.finish_turn(record, DONE) is False
        health = await plugin.jota_health()
        assert not health.ok and "writes wait" in health.detail
        with pytest.raises(MemoryStoreError) as refused:
            await store.open_conversation("ben")
        assert refused.value.code is Code.MEMORY_UNAVAILABLE
        await server.start()
        await until(lambda: plugin._replay.is_direct)
        assert await store.finish_turn(await store.begin_turn("t6", talk.id, "ana", "q6"), DONE) is True
        expected = [text for number in range(7) for text in (f"q{number}", "yes")]
        assert [m.content for m in await server.store.recall(talk.id, "ana", limit=50)] == expected
        assert (await plugin.jota_health()).ok


async def test_what_waits_survives_the_end_of_this_host_too(
    server: Server, key: str, client: Any, tmp_path: Path
) -> None:
    async with client(tmp_path / "far", server.base, key) as (_, store):
        talk = await store.open_conversation("ana")
        kept = await store.begin_turn("kept", talk.id, "ana", "q0")
        await store.checkpoint(kept, "so far")
        await server.stop()
        await store.finish_turn(await store.begin_turn("t1", talk.id, "ana", "q1"), DONE)
        cut = await store.begin_turn("cut", talk.id, "ana", "q2")
        await store.checkpoint(cut, "word")
        await store.checkpoint(cut, "word word")
    async with client(tmp_path / "far", server.base, key) as (plugin, store):  # both are away now
        assert plugin._spool.count == 4
        await server.start()
        await until(lambda: plugin._replay.is_direct)
    found = [(m.content, m.outcome) for m in await server.store.list_messages(talk.id, "ana", limit=50)]
    assert found == [
        ("q0", None), ("so far [INTERRUPTED]", Outcome.INTERRUPTED), ("q1", None), ("yes", Outcome.COMPLETE),
        ("q2", None), ("word word [INTERRUPTED]", Outcome.INTERRUPTED),
    ]  # fmt: skip


async def test_a_write_that_is_refused_does_not_hold_up_the_others(
    server: Server, key: str, client: Any, tmp_path: Path
) -> None:
    async with client(tmp_path / "far", server.base, key) as (plugin, store):
        gone, talk = await store.open_conversation("ana"), await store.open_conversation("ben")
        await server.stop()
        for each, owner in ((gone, "ana"), (talk, "ben")):
            await store.finish_turn(await store.begin_turn(f"t-{owner}", each.id, owner, "q"), DONE)
        await server.start()
        await server.store.delete_conversation(gone.id, "ana")
        await until(lambda: plugin._replay.is_direct)
        assert [m.content for m in await server.store.recall(talk.id, "ben", limit=9)] == ["q", "yes"]
    with sqlite3.connect(tmp_path / "far" / "memory.spool.db") as db:
        refused = db.execute("SELECT owner, why FROM refused").fetchall()
    db.close()
    assert {row[0] for row in refused} == {"ana"}


async def test_a_key_that_was_revoked_meanwhile_loses_nothing_that_waits(
    server: Server, key: str, client: Any, tmp_path: Path
) -> None:
    from jota_db.people import registry

    async with client(tmp_path / "far", server.base, key) as (plugin, store):
        talk = await store.open_conversation("ana")
        await server.stop()
        await store.finish_turn(await store.begin_turn("t", talk.id, "ana", "q"), DONE)
        await server.start()
        await server.store.inner.change(lambda sql: registry.revoke(sql, "orch"))
        await asyncio.sleep(1)
        assert plugin._spool.count == 2
        await server.store.inner.change(lambda sql: registry.rotate(sql, "orch", key + "x"))
    async with client(tmp_path / "far", server.base, key + "x") as (plugin, _):
        await until(lambda: plugin._replay.is_direct)
        found = await server.store.recall(talk.id, "ana", limit=9)
        assert [m.content for m in found] == ["q", "yes"]


async def test_a_full_spool_refuses_turns(server: Server, key: str, client: Any, tmp_path: Path) -> None:
    async with client(tmp_path / "far", server.base, key, spool_limit=2) as (_, store):
        talk = await store.open_conversation("ana")
        await server.stop()
        await store.finish_turn(await store.begin_turn("t", talk.id, "ana", "q"), DONE)
        assert not store.available
        with pytest.raises(MemoryStoreError, match="wait already"):
            await store.begin_turn("t2", talk.id, "ana", "q")
        await server.start()


async def test_known_clients_are_let_in_while_it_is_away_and_nobody_else(
    server: Server, key: str, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jota_db.client.people.KNOWN_S", -1)
    from jota_db.people import registry

    _, salon = await server.store.inner.change(lambda sql: registry.add_client(sql, "salon"))
    shown = Credentials("app", None, salon)
    async with client(tmp_path / "far", server.base, key) as (plugin, _):
        assert (await plugin.jota_authenticate(shown)).id == "salon"
        assert await plugin.jota_authenticate(Credentials("app", None, "a-wrong-key")) is None
        await server.stop()
        assert (await plugin.jota_authenticate(shown)).id == "salon"
        with pytest.raises(MemoryStoreError):
            await plugin.jota_authenticate(Credentials("app", None, "another-key"))
    async with client(tmp_path / "far", server.base, key) as (plugin, _):  # after a restart as well
        assert (await plugin.jota_authenticate(shown)).id == "salon"
    with sqlite3.connect(tmp_path / "far" / "memory.spool.db") as db:
        db.execute("UPDATE known SET told = CAST(replace(told, 'salon', 'admin') AS BLOB)")
    db.close()
    async with client(tmp_path / "far", server.base, key) as (plugin, _):
        with pytest.raises(MemoryStoreError):  # what somebody wrote into the file is not believed
            await plugin.jota_authenticate(shown)
    await server.start()
    await server.store.inner.change(lambda sql: registry.revoke(sql, "salon"))
    async with client(tmp_path / "far", server.base, key) as (plugin, _):
        assert await plugin.jota_authenticate(shown) is None


async def test_wrong_keys_of_ours_are_the_users_to_mend(server: Server, client: Any, tmp_path: Path) -> None:
    with pytest.raises(AuthFailed, match="`key:`"):
        async with client(tmp_path / "far", server.base, "a-wrong-key-of-ours"):
            pass


async def test_another_run_of_this_host_marks_what_the_last_one_left(
    server: Server, key: str, client: Any, tmp_path: Path
) -> None:
    async with client(tmp_path / "far", server.base, key) as (_, store):
        talk = await store.open_conversation("ana")
        await store.checkpoint(await store.begin_turn("t", talk.id, "ana", "q"), "so far")
        assert (await server.store.list_messages(talk.id, "ana"))[1].outcome is None
    async with client(tmp_path / "far", server.base, key) as (_, store):
        assert [m.content for m in await store.recall(talk.id, "ana", limit=9)] == [
            "q",
            "so far [INTERRUPTED]",
        ]
