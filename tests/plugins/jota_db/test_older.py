"""The client before a public JotaDB of before.

It is scripted: our own server, with a door before it that lets only those routes pass which the public one has, refuses
`extra_data` that is no text, and can swallow answers.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from jota_core.api import Code, Credentials, MemoryStoreError, Outcome, TurnResult, TurnStats

DONE = TurnResult(Outcome.COMPLETE, "yes", note="(Monday)", stats=TurnStats(model="tiny"))
OLD = re.compile(
    r"GET /(health|auth/(client|session|internal)|chat/models|config/me)|"
    r"(GET|POST) /chat/(conversations|\d+/messages)|(GET|PATCH) /chat/conversations/\d+"
)


class OlderServer:
    """The door; `is_away` answers nothing, `swallows` hands the next message on and then hangs up."""

    def __init__(self, behind: str, http: aiohttp.ClientSession) -> None:
        self.behind = behind
        self.is_away = self.swallows = False
        self.base = ""
        self.routes = OLD
        self._http = http

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if self.is_away:
            raise ConnectionResetError
        if not self.routes.fullmatch(f"{request.method} {request.path}"):
            return web.json_response({"detail": "Not Found"}, status=404)
        body = await request.read()
        if body and not isinstance((await request.json()).get("extra_data", ""), str):
            return web.json_response({"detail": "extra_data must be text"}, status=422)
        names = ("Authorization", "X-API-Key", "X-Client-ID")
        shown = {name: request.headers[name] for name in names if name in request.headers}
        url = self.behind + request.path_qs.replace("limit=1000000", "limit=1000")  # ours has a limit
        async with self._http.request(request.method, url, data=body or None, headers=shown) as told:
            answer = web.Response(body=await told.read(), status=told.status, content_type=told.content_type)
        if self.swallows and request.method == "POST" and request.path.endswith("/messages"):
            self.swallows, self.is_away = False, True
            raise ConnectionResetError
        return answer


@pytest.fixture
async def older(rest: Any) -> AsyncIterator[OlderServer]:
    async with aiohttp.ClientSession() as http:
        found = OlderServer(rest.base, http)
        runner = web.ServerRunner(web.Server(found.answer))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield found
        await runner.cleanup()


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
