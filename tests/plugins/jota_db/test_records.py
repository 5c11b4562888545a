"""Records: durable, copied, limited, the same for all hosts of one database and for hosts behind a server."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from jota_core.api import Code, MemoryStoreError, Record
from jota_db.rules import LONGEST, MOST

ON_A_FILE = pytest.mark.parametrize("url", ["sqlite:///jota.db"])


async def refused_as(code: Code, asked: Any) -> str:
    with pytest.raises(MemoryStoreError) as refused:
        await asked
    assert refused.value.code is code
    return refused.value.sentence


async def test_they_are_there_after_a_restart(tmp_path: Path, section: Any, url: str) -> None:
    async with section(tmp_path, store=url) as (_, store):
        for number in range(3):
            await store.save_record("jobs", f"{number}", {"n": number})
        await store.save_record("jobs", "1", {"n": "one"}, version=1)
        await store.save_record("jobs", "2", None)
        kept = list(await store.records("jobs"))
    async with section(tmp_path, store=url) as (_, store):
        assert kept == [Record("0", {"n": 0}, 1), Record("1", {"n": "one"}, 2)]
        assert list(await store.records("jobs")) == kept


async def test_a_store_of_before_gets_the_table(tmp_path: Path, section: Any) -> None:
    from jota_db.sql.schema import migrate
    from jota_db.sqlite.schema import changing

    with changing(tmp_path / "jota.db") as connection:
        migrate(connection, "0005")
    async with section(tmp_path) as (_, store):
        assert await store.save_record("c", "k", {}) == Record("k", {}, 1)


async def test_a_full_collection_takes_changes_but_nothing_new(
    tmp_path: Path, section: Any, url: str
) -> None:
    from sqlalchemy import bindparam, insert

    from jota_db.sql.record_table import records
    from jota_db.sql.statement import Rows

    row = {"collection": "c", "version": 1, "value": "{}", "updated_at": 0}
    into = Rows(insert(records).values({name: bindparam(name) for name in (*row, "key")}))
    async with section(tmp_path, store=url) as (_, store):
        rows = [{**row, "key": f"{number:05}"} for number in range(MOST)]
        await store.inner.change(lambda sql: sql.insert(into, rows))
        for version in (None, 0):
            told = await refused_as(Code.INVALID_REQUEST, store.save_record("c", "new", {}, version=version))
            assert "10000 records" in told and "forget some" in told
        assert await store.save_record("c", "00000", {}, version=0) == Record("00000", {}, 1)
        assert await store.save_record("c", "00000", {"a": 1}) == Record("00000", {"a": 1}, 2)
        assert await store.save_record("other", "new", {}) == Record("new", {}, 1)
        assert len(await store.records("c")) == MOST
        await store.save_record("c", "00001", None)
        assert await store.save_record("c", "new", {}) == Record("new", {}, 1)


async def test_one_that_is_refused_does_not_fail_its_neighbours(
    tmp_path: Path, section: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jota_db.sql.records.MOST", 10)
    async with section(tmp_path, store=url) as (_, store):
        saves = [store.save_record("c", f"{number:02}", {"n": number}) for number in range(20)]
        told = await asyncio.gather(*saves, return_exceptions=True)
        assert told[:10] == [Record(f"{number:02}", {"n": number}, 1) for number in range(10)]
        assert {each.code for each in told[10:] if isinstance(each, MemoryStoreError)} == {
            Code.INVALID_REQUEST
        }
        assert len(await store.records("c")) == 10


async def test_of_two_hosts_one_is_first(shared_url: str, tmp_path: Path, section: Any) -> None:
    async with (
        section(tmp_path, store=shared_url) as (_, one),
        section(tmp_path, store=shared_url) as (_, other),
    ):
        for number in range(50):
            claims = [
                store.save_record("c", f"job-{number}", {"by": who}, version=0)
                for who, store in enumerate((one, other))
            ]
            told = await asyncio.gather(*claims)
            assert told[0] == told[1] and told[0].version == 1
        assert list(await one.records("c")) == list(await other.records("c"))


async def test_two_hosts_lose_no_change(shared_url: str, tmp_path: Path, section: Any) -> None:
    async def count(store: Any, who: int) -> None:
        for number in range(10):
            mine = f"{who}-{number}"
            kept = (await store.records("c"))[0]
            while kept.value["by"] != mine:
                more = {"n": kept.value["n"] + 1, "by": mine}
                kept = await store.save_record("c", "sum", more, version=kept.version)

    async with (
        section(tmp_path, store=shared_url) as (_, one),
        section(tmp_path, store=shared_url) as (_, other),
    ):
        await one.save_record("c", "sum", {"n": 0, "by": ""})
        await asyncio.gather(*(count((one, other)[who % 2], who) for who in range(4)))
        assert [(kept.value["n"], kept.version) for kept in await one.records("c")] == [(40, 41)]


async def test_two_hosts_that_save_the_same_in_opposite_orders_do_not_wait_in_a_circle(
    shared_url: str, tmp_path: Path, section: Any
) -> None:
    async with (
        section(tmp_path, store=shared_url) as (_, one),
        section(tmp_path, store=shared_url) as (_, other),
    ):
        keys = [f"{number:03}" for number in range(100)]
        async with asyncio.timeout(20):
            for _ in range(5):
                saves = [one.save_record("c", key, {"by": 1}) for key in keys]
                saves += [other.save_record("c", key, {"by": 2}) for key in reversed(keys)]
                saves += [one.begin_turn("t", 999, "nobody", "q")]  # its batch is done one by one
                told = await asyncio.gather(*saves, return_exceptions=True)
                assert [type(each) for each in told if not isinstance(each, Record)] == [MemoryStoreError]
        assert {record.version for record in await one.records("c")} == {10}


@ON_A_FILE
async def test_services_and_admins_may(rest: Any) -> None:
    service, admin = await rest.add("orch", "service"), await rest.add("root", "admin")
    path, body = "/records/jobs/a", {"value": {"n": 1}}
    for key in (await rest.add("salon"), await rest.add("button", "node")):
        await rest("PUT", path, body, key=key, client="salon", status=401)
        await rest("GET", "/records/jobs", key=key, status=401)
    assert await rest("GET", "/records/jobs", key=service, status=200) == []
    kept = {"key": "a", "value": {"n": 1}, "version": 1}
    assert await rest("PUT", path, body, key=service, status=200) == kept
    assert await rest("PUT", path, {"value": {}, "version": 0}, key=admin, status=200) == kept
    assert await rest("GET", "/records/jobs", key=admin, status=200) == [kept]
    assert await rest("PUT", path, {"value": None, "version": 1}, key=service, status=200) is None
    assert await rest("GET", "/records/jobs", key=service, status=200) == []


@ON_A_FILE
async def test_what_is_wrong_is_told_in_a_sentence(rest: Any) -> None:
    key = await rest.add("orch", "service")
    bodies: list[Any] = [None, {}, [], {"value": []}, {"value": 1}, {"value": {}, "version": "1"}]
    bodies += [{"value": {}, "version": version} for version in (-1, 2**31, 1.5)]
    for body in bodies:
        assert (await rest("PUT", "/records/c/k", body, key=key, status=422))["detail"]
    long = {"value": {"text": "x" * LONGEST}}
    assert "65536" in (await rest("PUT", "/records/c/k", long, key=key, status=413))["detail"]
    for path in ("/records/C/k", "/records/c/K", f"/records/c/{'k' * 129}", "/records/c/a%20b"):
        await rest("PUT", path, {"value": {}}, key=key, status=422)
    await rest("GET", "/records/A", key=key, status=422)


@ON_A_FILE
async def test_while_the_server_is_away_they_are_not_there(
    rest: Any, older: Any, client: Any, tmp_path: Path
) -> None:
    older.routes = re.compile(".*")
    async with client(tmp_path / "far", older.base, await rest.add("orch", "service")) as (plugin, store):
        await store.save_record("c", "k", {"n": 1})
        older.is_away = True
        await refused_as(Code.MEMORY_UNAVAILABLE, store.save_record("c", "k", {"n": 2}))
        await refused_as(Code.MEMORY_UNAVAILABLE, store.records("c"))
        assert plugin._spool.count == 0
        older.is_away = False
        assert list(await store.records("c")) == [Record("k", {"n": 1}, 1)]


@ON_A_FILE
async def test_an_answer_that_was_lost_is_asked_for_again(
    rest: Any, older: Any, client: Any, tmp_path: Path
) -> None:
    older.routes = re.compile(".*")
    async with client(tmp_path / "far", older.base, await rest.add("orch", "service")) as (_, store):
        older.drops = re.compile("PUT /records/.*")
        assert await store.save_record("c", "k", {"by": 1}, version=0) == Record("k", {"by": 1}, 1)
        assert older.drops is None


@ON_A_FILE
@pytest.mark.parametrize("routes", ["public", "without records"])
async def test_a_server_of_before_keeps_none(
    rest: Any, older: Any, client: Any, tmp_path: Path, routes: str
) -> None:
    if routes == "without records":
        older.routes = re.compile(r"\w+ /(?!records).*")
    async with client(tmp_path / "far", older.base, await rest.add("orch", "service")) as (_, store):
        for asked in (store.records("c"), store.save_record("c", "k", {})):
            assert "older" in await refused_as(Code.UNSUPPORTED, asked)
