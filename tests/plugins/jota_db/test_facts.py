"""Long-term facts: kept by a tool, by the API and by the command; superseded, forgotten, and told to the model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from jota_core.api import HttpRequest, Principal, Refused, SetupFailed, TurnDraft
from jota_db.facts import ledger

ANA = Principal("ana")


async def asked(plugin: Any, text: str, who: Principal = ANA) -> tuple[str, ...]:
    """The notes of a turn."""
    draft = TurnDraft("t", 1, who, text, "You are Jota.")
    return (await plugin.jota_prepare_turn(draft) or draft).notes


async def test_the_tool_keeps_a_fact_with_its_turn(tmp_path: Path, section: Any, url: str) -> None:
    async with section(tmp_path, store=url, facts_tool=True) as (plugin, store):
        (tool,) = plugin.jota_tools()
        talk = await store.open_conversation("ana")
        await store.begin_turn("turn-1", talk.id, "ana", "The boiler code is 4711")
        assert await asked(plugin, "What is the code of the boiler?") == ()
        told = await tool.call({"fact": "The boiler code is 4711."}, ANA)
        (fact,) = await store.inner.read(lambda sql: ledger.active(sql, "ana"))
        assert (fact["source_turn"], fact["id"] in told) == ("turn-1", True)
        assert await asked(plugin, "What is the code of the boiler?") == (
            "You know: The boiler code is 4711.",
        )
        assert await asked(plugin, "Tell me a joke.") == ()
        assert await asked(plugin, "What is the code of the boiler?", Principal("ben")) == ()
        await tool.call({"fact": "The boiler code is 1234.", "replaces": fact["id"]}, ANA)
        assert await asked(plugin, "the boiler code?") == ("You know: The boiler code is 1234.",)
        old, new = await store.inner.read(lambda sql: ledger.every(sql, "ana"))
        assert (old["state"], old["replaced_by"], new["state"]) == ("superseded", new["id"], "active")


async def test_without_the_setting_there_is_no_tool(tmp_path: Path, section: Any) -> None:
    async with section(tmp_path) as (plugin, _):
        assert plugin.jota_tools() == []


async def test_facts_are_their_owners_only(tmp_path: Path, section: Any, url: str) -> None:
    async with section(tmp_path, store=url) as (_, store):
        fact = await store.inner.change(lambda sql: ledger.add(sql, "ana", "Ana likes tea."))
        for work in (
            lambda sql: ledger.forget(sql, "ben", fact["id"]),
            lambda sql: ledger.change(sql, "ben", fact["id"], "x"),
            lambda sql: ledger.add(sql, "ben", "x", replaces=fact["id"]),
        ):
            with pytest.raises(Refused):
                await store.inner.change(work)
        assert len(await store.inner.read(lambda sql: ledger.active(sql, "ana"))) == 1
        assert await store.inner.read(lambda sql: ledger.every(sql, "ben")) == []


async def test_the_same_words_are_the_same_fact_and_bad_ones_none(
    tmp_path: Path, section: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jota_db.facts.ledger.MOST", 2)
    async with section(tmp_path, store=url) as (_, store):
        made = [await store.inner.change(lambda sql: ledger.add(sql, "ana", " Tea. ")) for _ in range(2)]
        assert made[0]["id"] == made[1]["id"]
        await store.inner.change(lambda sql: ledger.add(sql, "ana", "Coffee."))
        for text in ("", "  ", "x" * 2001, "one too many"):
            with pytest.raises(Refused):
                await store.inner.change(lambda sql, text=text: ledger.add(sql, "ana", text))


async def test_the_routes(tmp_path: Path, section: Any) -> None:
    async with section(tmp_path) as (plugin, _):
        routes = {route.method: route.handler for route in plugin.jota_http_routes()}

        async def call(method: str, body: Any = None, status: int = 200, who: Any = ANA, **query: str) -> Any:
            request = HttpRequest(method, "/api/v1/facts", query, orjson.dumps(body), who)
            answer = await routes[method](request)
            assert answer.status == status, answer.body
            return orjson.loads(answer.body)

        made = (await call("POST", {"text": "El código es 4711."}))["fact"]
        assert made["state"] == "active"
        assert await asked(plugin, "¿y el codigo?") == ("You know: El código es 4711.",)
        await call("PATCH", {"id": made["id"], "text": "El código es 1234."})
        assert await asked(plugin, "¿y el codigo?") == ("You know: El código es 1234.",)
        await call("POST", {"text": "Cambió.", "replaces": made["id"]})
        assert [fact["text"] for fact in (await call("GET"))["facts"]] == ["Cambió."]
        assert len((await call("GET", all="true"))["facts"]) == 2
        await call("DELETE", id=made["id"])
        await call("DELETE", id=made["id"], status=404)
        wrong: tuple[Any, ...] = (None, [], {"text": 7}, {"text": ""}, {"text": "x", "replaces": 7})
        for body in wrong:
            await call("POST", body, status=422)
        await call("GET", who=None, status=401)


def jota(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jota_core.cli", "memory", *arguments]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("JOTA_")}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={**environ, "JOTA_DATA": str(folder)},
    )  # fmt: skip


def test_the_command(tmp_path: Path) -> None:
    key = jota(tmp_path, "add", "The code is 4711.", "--user", "ana").stdout.strip()
    assert jota(tmp_path, "list", "--user", "ana").stdout.strip() == f"{key}  The code is 4711."
    assert jota(tmp_path, "edit", key, "The code is 1234.", "--user", "ana").returncode == 0
    (told,) = json.loads(jota(tmp_path, "export", "--user", "ana").stdout)
    assert (told["text"], told["version"]) == ("The code is 1234.", 2)
    assert jota(tmp_path, "forget", key, "--user", "ben").returncode == 2
    assert jota(tmp_path, "forget", key, "--user", "ana").returncode == 0
    assert json.loads(jota(tmp_path, "export", "--user", "ana").stdout) == []


async def test_facts_are_thought_of_by_meaning_and_across_languages(tmp_path: Path, section: Any) -> None:
    async with section(tmp_path, facts_by_meaning=True) as (plugin, store):
        for text in ("The boiler code is 4711.", "Ana is allergic to nuts.", "Her birthday is on May 3rd."):
            await store.inner.change(lambda sql, text=text: ledger.add(sql, "ana", text))
        for question, fact in (
            ("What number do I type into the heater?", "The boiler code is 4711."),
            ("¿Cuál es la clave de la caldera?", "The boiler code is 4711."),
            ("Can I cook a walnut cake for her?", "Ana is allergic to nuts."),
            ("When is the party?", "Her birthday is on May 3rd."),
        ):
            (note,) = await asked(plugin, question)
            assert fact in note, (question, note)
        for question in ("Tell me a joke", "hello", "write me a poem about the sea"):
            assert await asked(plugin, question) == ()


async def test_a_missing_encoder_is_told(
    tmp_path: Path, section: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jota_db.facts.meaning.find_spec", lambda _: None)
    with pytest.raises(SetupFailed, match="pip install"):
        async with section(tmp_path, facts_by_meaning=True):
            pass
