"""The client before a public JotaDB of before: `OlderServer`."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from jota_core.api import Code, Credentials, MemoryStoreError, Outcome, TurnResult, TurnStats

DONE = TurnResult(Outcome.COMPLETE, "yes", note="(Monday)", stats=TurnStats(model="tiny"))


@pytest.fixture
def url() -> str:
    return "sqlite:///jota.db"


async def test_turns_are_kept_and_thought_of(rest: Any, older: Any, client: Any, tmp_path: Path) -> None:
    await rest.add("ana")
    async with client(tmp_path / "far", older.base, await rest.add("orch", "service")) as (plugin, store):
        health = await plugin.jota_health()
        assert health.ok and "older" in health.detail
        talk = await store.open_conversation("ana")
        assert (await store.open_conversation("ana")).id == talk.id
        first = await store.begin_turn("t0", talk.id, "ana", "q0")
        assert await store.recall(talk.id, "ana", limit=9) == [], "it still runs"
        await store.checkpoint(first, "y")
        assert await store.finish_turn(first, DONE) is True
        cut = await store.begin_turn("t1", talk.id, "ana", "q1")
        await store.finish_turn(cut, TurnResult(Outcome.INTERRUPTED, "so far", thought="hm"))
        found = await store.recall(talk.id, "ana", limit=9)
        assert [m.content for m in found] == ["q0", "yes", "q1", "so far [INTERRUPTED]"]
        assert [m.note for m in found][:2] == ["(Monday)", "(Monday)"]
        assert (found[1].model_id, found[1].outcome) == ("tiny", Outcome.COMPLETE)
        assert (found[3].thought, found[3].outcome) == ("hm", Outcome.INTERRUPTED)
        assert found[0].id == first.user_message_id and found[0].created_at.tzinfo is not None
        assert [m.content for m in await store.recall(talk.id, "ana", limit=1)] == ["so far [INTERRUPTED]"]
        page = await store.list_messages(talk.id, "ana", limit=2, before=found[3].id)
        assert [m.content for m in page] == ["yes", "q1"]
        fresh = await store.open_conversation("ana", new=True)
        assert {c.id for c in await store.list_conversations("ana")} == {talk.id, fresh.id}


async def test_messages_of_other_programs_count_too(
    rest: Any, older: Any, client: Any, tmp_path: Path
) -> None:
    key = await rest.add("ana")
    async with client(tmp_path / "far", older.base, await rest.add("orch", "service")) as (_, store):
        talk = await store.open_conversation("ana")
        for role, extra in (("user", None), ("assistant", "no JSON"), ("tool", '{"a": 1}'), ("user", "[]")):
            body = {"role": role, "content": f"by {role}", "extra_data": extra}
            await rest("POST", f"/chat/{talk.id}/messages", body, key=key, status=201)
        found = await store.recall(talk.id, "ana", limit=9)
        assert [m.content for m in found] == ["by user", "by assistant", "by user"]


async def test_a_message_that_arrived_unseen_is_not_kept_twice(
    rest: Any, older: Any, client: Any, tmp_path: Path
) -> None:
    await rest.add("ana")
    async with client(tmp_path / "far", older.base, await rest.add("orch", "service")) as (plugin, store):
        talk = await store.open_conversation("ana")
        for turn, swallowed in enumerate(("question", "answer")):
            older.swallows = swallowed == "question"
            record = await store.begin_turn(f"t{turn}", talk.id, "ana", f"q{turn}")
            older.swallows = swallowed == "answer"
            assert await store.finish_turn(record, DONE) is False
            assert not (await plugin.jota_health()).ok
            older.is_away = False
            async with asyncio.timeout(6):
                while not plugin._replay.is_direct:
                    await asyncio.sleep(0.02)
        found = await store.recall(talk.id, "ana", limit=9)
        assert [m.content for m in found] == ["q0", "yes", "q1", "yes"]


async def test_its_clients_are_known(rest: Any, older: Any, client: Any, tmp_path: Path) -> None:
    ana = await rest.add("ana")
    async with client(tmp_path / "far", older.base, await rest.add("orch", "service")) as (plugin, _):
        found = await plugin.jota_authenticate(Credentials("app", key=ana))
        assert found is not None and found.id == "ana"
        assert await plugin.jota_authenticate(Credentials("app", key="wrong")) is None


async def test_what_it_cannot_do_is_a_sentence(rest: Any, older: Any, client: Any, tmp_path: Path) -> None:
    await rest.add("ana")
    async with client(tmp_path / "far", older.base, await rest.add("orch", "service")) as (_, store):
        talk = await store.open_conversation("ana")
        for asked in (store.search("ana", "q"), store.delete_conversation(talk.id, "ana")):
            with pytest.raises(MemoryStoreError) as refused:
                await asked
            assert refused.value.code is Code.UNSUPPORTED and "older" in refused.value.sentence


async def test_a_server_that_was_renewed_is_used_as_a_new_one(
    rest: Any, older: Any, client: Any, tmp_path: Path
) -> None:
    await rest.add("ana")
    async with client(tmp_path / "far", older.base, await rest.add("orch", "service")) as (plugin, store):
        talk = await store.open_conversation("ana")
        older.is_away = True
        await store.begin_turn("t0", talk.id, "ana", "q0")
        older.is_away, older.routes = False, re.compile(".*")
        async with asyncio.timeout(6):
            while not plugin._replay.is_direct:
                await asyncio.sleep(0.02)
        assert "older" not in (await plugin.jota_health()).detail
