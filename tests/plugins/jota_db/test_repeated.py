"""A turn that is begun again with its id: who is told that it is a repeated one, and who is not."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jota_core.api import Code, MemoryStoreError, Outcome, TurnRecord, TurnResult
from jota_db.sql.owed import NEVER_BEGUN

DONE = TurnResult(Outcome.COMPLETE, "yes")


async def test_it_is_known_after_a_restart(tmp_path: Path, section: Any, url: str) -> None:
    async with section(tmp_path, store=url) as (_, store):
        talk = await store.open_conversation("ana")
        records = [await store.begin_turn(f"t{number}", talk.id, "ana", "q") for number in range(2)]
        assert not any(record.is_repeated for record in records)
        await store.finish_turn(records[0], DONE)
    async with section(tmp_path, store=url) as (_, store):
        again = [await store.begin_turn(f"t{number}", talk.id, "ana", "q") for number in range(2)]
        assert again == [replace(record, is_repeated=True) for record in records]
        assert [m.content for m in await store.list_messages(talk.id, "ana")] == [
            "q",
            "yes",
            "q",
            "[INTERRUPTED]",
        ]


async def test_of_two_hosts_one_begins_it(shared_url: str, tmp_path: Path, section: Any) -> None:
    async with (
        section(tmp_path, store=shared_url) as (_, one),
        section(tmp_path, store=shared_url) as (_, other),
    ):
        talk = await one.open_conversation("ana")
        known = await one.begin_turn("known", talk.id, "ana", "q")
        await one.finish_turn(known, DONE)  # so that both find it in the database, which they ask one by one
        for number in range(20):
            turns = [f"t{number}-{at}" for at in range(4)]
            begun = [
                store.begin_turn(turn, talk.id, "ana", "q")
                for store in (one, other) for turn in (*turns, "known")
            ]  # fmt: skip
            records = await asyncio.gather(*begun)
            for turn in turns:
                mine = [record for record in records if record.turn_id == turn]
                assert sorted(record.is_repeated for record in mine) == [False, True]
                assert len({record.answer_id for record in mine}) == 1
            repeated = [record for record in records if record.turn_id == "known"]
            assert repeated == [replace(known, is_repeated=True)] * 2


async def test_an_attempt_that_failed_does_not_end_the_turn_of_another_host(
    shared_url: str, tmp_path: Path, section: Any
) -> None:
    async with (
        section(tmp_path, store=shared_url) as (_, one),
        section(tmp_path, store=shared_url) as (_, other),
    ):
        talk = await one.open_conversation("ana")
        lost = TurnRecord("t", talk.id, "ana", "m", "a")
        away = MemoryStoreError(Code.MEMORY_UNAVAILABLE, "It is away.")
        one.inner._owed.keep(away, lost, NEVER_BEGUN)
        record = await other.begin_turn("t", talk.id, "ana", "q")
        await one.inner.settle()
        await other.finish_turn(record, DONE)
        assert [m.content for m in await one.recall(talk.id, "ana", limit=9)] == ["q", "yes"]


async def test_an_end_that_waits_is_not_lost_when_its_turn_is_repeated(
    tmp_path: Path, section: Any, url: str
) -> None:
    async with section(tmp_path, store=url) as (_, store):
        talk = await store.open_conversation("ana")
        record = await store.begin_turn("t", talk.id, "ana", "q")
        away = MemoryStoreError(Code.MEMORY_UNAVAILABLE, "It is away.")
        store.inner._owed.keep(away, record, DONE)
        store.inner._owed.keep(away, record, NEVER_BEGUN)  # it was begun again before the database was back
        assert (await store.begin_turn("t", talk.id, "ana", "q")).is_repeated
        await store.inner.settle()
        assert [m.content for m in await store.recall(talk.id, "ana", limit=9)] == ["q", "yes"]


@pytest.mark.parametrize("url", ["sqlite:///jota.db"])
async def test_a_request_that_was_told_twice_is_no_repeated_turn(
    rest: Any, older: Any, client: Any, tmp_path: Path
) -> None:
    older.routes = re.compile(".*")
    async with client(tmp_path / "far", older.base, await rest.add("orch", "service")) as (_, store):
        talk = await store.open_conversation("ana")
        older.drops = re.compile("PUT /turns/.*")
        record = await store.begin_turn("t", talk.id, "ana", "q")
        assert older.drops is None and not record.is_repeated
        assert await store.begin_turn("t", talk.id, "ana", "q") == replace(record, is_repeated=True)
        assert [m.content for m in await store.list_messages(talk.id, "ana")] == ["q"]
        await store.finish_turn(record, DONE)
        assert [m.content for m in await store.recall(talk.id, "ana", limit=9)] == ["q", "yes"]
