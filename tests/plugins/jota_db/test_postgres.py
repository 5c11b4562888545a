"""What PostgreSQL alone has: other hosts on the same database, and a server that goes away."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from benchmarks.postgres import PostgresServer
from jota_core.api import AuthFailed, Code, MemoryStoreError, NotReady, Outcome, SetupFailed, TurnResult
from jota_db.sql.schema import migrate
from jota_db.urls import StoreUrl

DONE = TurnResult(Outcome.COMPLETE, "yes")
SHAPE = """
SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
WHERE table_schema = 'public' ORDER BY 1, 2
"""
INDEXES = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
RULES = "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1, 2"
SEQUENCES = "SELECT sequence_name, data_type FROM information_schema.sequences ORDER BY 1"


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.create(f"test_{secrets.token_hex(8)}")


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """One that may be killed."""
    with PostgresServer() as server:
        yield server


async def shape(url: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return [await connection.fetch(query) for query in (SHAPE, INDEXES, RULES, SEQUENCES)]
    finally:
        await connection.close()


async def test_migrations_make_the_same_tables(
    postgres: PostgresServer, section: Any, tmp_path: Path
) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    created, migrated = (postgres.create(f"shape_{secrets.token_hex(8)}") for _ in range(2))
    async with section(tmp_path, store=created):
        pass
    engine = create_async_engine(migrated.replace("://", "+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()
    assert await shape(migrated) == await shape(created)


async def test_two_hosts_begin_at_once_on_an_empty_database(url: str, section: Any, tmp_path: Path) -> None:
    async def talk(name: str) -> None:
        async with section(tmp_path, store=url) as (_, store):
            opened = await store.open_conversation(name)
            await store.finish_turn(await store.begin_turn(name, opened.id, name, "hi"), DONE)

    await asyncio.gather(*(talk(f"host{n}") for n in range(4)))


async def test_two_hosts_serve_one_conversation_by_turns(url: str, section: Any, tmp_path: Path) -> None:
    async with section(tmp_path, store=url) as (_, one), section(tmp_path, store=url) as (_, other):
        talk = await one.open_conversation("ana")
        assert (await other.open_conversation("ana")).id == talk.id
        for number in range(6):
            store = (one, other)[number % 2]
            record = await store.begin_turn(f"t{number}", talk.id, "ana", f"q{number}")
            await store.finish_turn(record, TurnResult(Outcome.COMPLETE, f"a{number}"))
        expected = [f"{who}{number}" for number in range(6) for who in "qa"]
        for store in (one, other):
            assert [m.content for m in await store.recall(talk.id, "ana", limit=20)] == expected


async def test_a_running_turn_is_not_cut_while_its_host_lives(url: str, section: Any, tmp_path: Path) -> None:
    async with section(tmp_path, store=url) as (_, one):
        talk = await one.open_conversation("ana")
        record = await one.begin_turn("t", talk.id, "ana", "q")
        await one.checkpoint(record, "so far")
        async with section(tmp_path, store=url) as (_, other):
            await asyncio.sleep(2.5)  # it has looked once more
            assert (await other.list_messages(talk.id, "ana"))[1].outcome is None
        await one.finish_turn(record, DONE)
        assert (await one.recall(talk.id, "ana", limit=2))[1].content == "yes"


CHILD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from conftest import running

async def main():
    async with running(Path(sys.argv[1]), store=sys.argv[2]) as (_, store):
        talk = await store.open_conversation("ana")
        record = await store.begin_turn("t", talk.id, "ana", "q")
        await store.checkpoint(record, "so far")
        print("kept", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_a_killed_hosts_turn_is_marked_by_another(url: str, section: Any, tmp_path: Path) -> None:
    async with section(tmp_path, store=url) as (_, store):
        child = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, "-c", CHILD, str(tmp_path), url, str(Path(__file__).parent)],
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert child.stdout is not None
        assert await asyncio.to_thread(child.stdout.readline) == b"kept\n"
        child.kill()
        child.communicate()
        talk = await store.open_conversation("ana")
        async with asyncio.timeout(10):
            while not (found := await store.recall(talk.id, "ana", limit=5)):
                await asyncio.sleep(0.1)
        assert [m.content for m in found] == ["q", "so far [INTERRUPTED]"]


async def test_a_server_that_is_killed_is_told_and_used_again(
    own_server: PostgresServer, section: Any, tmp_path: Path
) -> None:
    async with section(tmp_path, store=own_server.create("jota")) as (plugin, store):
        talk = await store.open_conversation("ana")
        await store.finish_turn(await store.begin_turn("t0", talk.id, "ana", "q0"), DONE)
        await asyncio.to_thread(own_server.kill)
        assert "Look whether the server runs" in (await plugin.jota_health()).detail, "before any write"
        for number in range(1, 4):
            with pytest.raises(MemoryStoreError) as refused:
                await store.begin_turn(f"t{number}", talk.id, "ana", "q")
            assert refused.value.code is Code.MEMORY_UNAVAILABLE
            assert "it is tried again" in refused.value.sentence
        assert not (await plugin.jota_health()).ok
        await asyncio.to_thread(own_server.start)
        assert (await plugin.jota_health()).ok, "it shows without a write"
        await store.finish_turn(await store.begin_turn("t9", talk.id, "ana", "q9"), DONE)
        assert [m.content for m in await store.recall(talk.id, "ana", limit=9)] == ["q0", "yes", "q9", "yes"]
        assert (await plugin.jota_health()).ok


async def test_an_end_that_could_not_be_written_is_written_when_the_server_is_back(
    own_server: PostgresServer, section: Any, tmp_path: Path
) -> None:
    async with section(tmp_path, store=own_server.create("jota")) as (_, store):
        talk = await store.open_conversation("ana")
        record = await store.begin_turn("t", talk.id, "ana", "q")
        await asyncio.to_thread(own_server.kill)
        with pytest.raises(MemoryStoreError):
            await store.finish_turn(record, DONE)
        await asyncio.to_thread(own_server.start)
        async with asyncio.timeout(6):
            while not (found := await store.recall(talk.id, "ana", limit=5)):
                await asyncio.sleep(0.1)
        assert [m.content for m in found] == ["q", "yes"]


@asynccontextmanager
async def a_line_that_drops_answers(port: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A port that leads to `port`; once the event is set, the next COMMIT arrives and its answer does not."""
    dropping = asyncio.Event()

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, asked: bool) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                if asked and dropping.is_set() and b"COMMIT" in data:
                    dropping.clear()
                    return  # the server has read it before it sees the end
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        back = asyncio.ensure_future(carry(far_reader, writer, False))
        await carry(reader, far_writer, True)
        back.cancel()
        for end in (writer, far_writer):
            end.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], dropping


@pytest.mark.parametrize("reminders", [True, False], ids=["the first worker", "another one"])
async def test_a_turn_that_was_begun_but_not_answered_for_is_ended(
    postgres: PostgresServer, section: Any, tmp_path: Path, reminders: bool
) -> None:
    url = postgres.create(f"test_{secrets.token_hex(8)}")
    async with a_line_that_drops_answers(postgres.port) as (port, dropping):
        over = url.replace(str(postgres.port), str(port))
        async with section(tmp_path, store=over, reminders=reminders) as (_, store):
            talk = await store.open_conversation("ana")
            dropping.set()
            with pytest.raises(MemoryStoreError) as refused:
                await store.begin_turn("t", talk.id, "ana", "q")
            assert refused.value.code is Code.MEMORY_UNAVAILABLE
            async with asyncio.timeout(6):
                while not (found := await store.recall(talk.id, "ana", limit=5)):
                    await asyncio.sleep(0.1)
            assert [m.content for m in found] == ["q", "[INTERRUPTED]"]


async def test_a_turn_that_is_begun_again_with_its_id_goes_on(
    postgres: PostgresServer, section: Any, tmp_path: Path
) -> None:
    url = postgres.create(f"test_{secrets.token_hex(8)}")
    async with a_line_that_drops_answers(postgres.port) as (port, dropping):
        over = url.replace(str(postgres.port), str(port))
        async with section(tmp_path, store=over) as (_, store):
            talk = await store.open_conversation("ana")
            dropping.set()
            with pytest.raises(MemoryStoreError):
                await store.begin_turn("t", talk.id, "ana", "q")
            record = await store.begin_turn("t", talk.id, "ana", "q")
            assert not record.is_repeated
            await asyncio.sleep(1.5)  # the section has looked for what it owes
            await store.finish_turn(record, DONE)
            assert [m.content for m in await store.recall(talk.id, "ana", limit=5)] == ["q", "yes"]


async def test_a_host_whose_connections_were_all_cut_keeps_its_turn(
    url: str, section: Any, tmp_path: Path
) -> None:
    async with section(tmp_path, store=url) as (_, store):
        talk = await store.open_conversation("ana")
        record = await store.begin_turn("t", talk.id, "ana", "q")
        admin = await asyncpg.connect(url)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        )
        await admin.close()
        await store.checkpoint(record, "so far")  # over a new one
        async with section(tmp_path, store=url):
            await store.finish_turn(record, DONE)  # even when the other one has marked it meanwhile
        found = await store.recall(talk.id, "ana", limit=2)
        assert [m.content for m in found] == ["q", "yes"]


async def test_150_turns_at_once_take_few_connections(url: str, section: Any, tmp_path: Path) -> None:
    async with section(tmp_path, store=url) as (_, store):

        async def one(number: int) -> None:
            name = f"user{number}"
            talk = await store.open_conversation(name)
            record = await store.begin_turn(f"t{number}", talk.id, name, "q")
            assert len(await store.recall(talk.id, name, limit=20)) == 0
            await store.finish_turn(record, DONE)

        await asyncio.gather(*(one(number) for number in range(150)))
        admin = await asyncpg.connect(url)
        used = await admin.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        )
        await admin.close()
        assert used <= 9


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda url: url.rpartition("/")[0] + "/nowhere", SetupFailed, "createdb"),
        (lambda url: "postgresql://jota@127.0.0.1:1/jota", NotReady, "tried again"),
    ],
    ids=["no such database", "nobody listens"],
)
async def test_what_cannot_be_opened_is_said(
    url: str, section: Any, tmp_path: Path, change: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        async with section(tmp_path, store=change(url)):
            pass


async def test_a_wrong_password_is_the_users_to_mend(
    own_server: PostgresServer, section: Any, tmp_path: Path
) -> None:
    own_server.ask_for_passwords()
    wrong = own_server.url().replace("jota@", "jota:wrong-password@")
    with pytest.raises(AuthFailed, match="does not accept") as refused:
        async with section(tmp_path, store=wrong):
            pass
    assert "wrong-password" not in str(refused.value)


@pytest.mark.parametrize("state", ["newer", "foreign"])
async def test_a_newer_or_foreign_database_is_left_alone(
    url: str, section: Any, tmp_path: Path, state: str
) -> None:
    admin = await asyncpg.connect(url)
    await admin.execute("CREATE TABLE something (id int)")
    if state == "newer":
        await admin.execute("CREATE TABLE alembic_version (version_num varchar(32))")
        await admin.execute("INSERT INTO alembic_version VALUES ('9999')")
    before = await shape(url)
    with pytest.raises(SetupFailed, match="newer Jota" if state == "newer" else "not a store of Jota"):
        async with section(tmp_path, store=url):
            pass
    assert await shape(url) == before
    await admin.close()


def test_a_password_is_never_shown() -> None:
    assert (
        str(StoreUrl("postgresql+asyncpg://ana:secret@db.local:5433/jota"))
        == "postgresql://db.local:5433/jota"
    )
