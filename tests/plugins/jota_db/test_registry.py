"""Keys: shown once, kept as hashes, rotated and revoked; on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jota_core.api import Code, Credentials, MemoryStoreError, Principal, Refused, TurnDraft
from jota_db.people import configs, registry
from jota_db.people.authenticator import Authenticator

Ask = Callable[..., Any]


def shown(key: str | None, user: str | None = None) -> Credentials:
    return Credentials("app", user, key)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered for a moment."""
    monkeypatch.setattr("jota_db.people.authenticator.KNOWN_S", -1)
    monkeypatch.setattr("jota_db.people.preferences.KNOWN_S", -1)


@pytest.mark.usefixtures("fresh")
async def test_the_life_of_a_clients_key(tmp_path: Path, section: Any, url: str) -> None:
    async with section(tmp_path, store=url) as (plugin, store):
        assert await plugin.jota_authenticate(shown("anything")) is None
        _, key = await store.inner.change(lambda sql: registry.add_client(sql, "salon"))
        assert len(key) >= 43
        for user in (None, "salon", "somebody-else"):
            assert await plugin.jota_authenticate(shown(key, user)) == Principal("salon", frozenset({"chat"}))
        assert await plugin.jota_authenticate(shown(key + "x")) is None
        assert await plugin.jota_authenticate(shown(None, "salon")) is None
        newer = await store.inner.change(lambda sql: registry.rotate(sql, "salon"))
        assert await plugin.jota_authenticate(shown(key)) is None
        assert await plugin.jota_authenticate(shown(newer)) is not None
        await store.inner.change(lambda sql: registry.revoke(sql, "salon"))
        assert await plugin.jota_authenticate(shown(newer)) is None
        (entry,) = await store.inner.read(registry.everybody)
        assert key not in str(entry) and newer not in str(entry)


@pytest.mark.usefixtures("fresh")
async def test_services_and_admins_speak_for_whom_they_name(tmp_path: Path, section: Any, url: str) -> None:
    async with section(tmp_path, store=url) as (plugin, store):
        for role in registry.ROLES:
            _, key = await store.inner.change(lambda sql, role=role: registry.add_service(sql, role, role))
            principal = await plugin.jota_authenticate(shown(key, "ana"))
            assert principal.id == ("node" if role == "node" else "ana")
            assert role in principal.roles
            assert (await plugin.jota_authenticate(shown(key))).id == role


async def test_what_cannot_be_registered(tmp_path: Path, section: Any, url: str) -> None:
    async with section(tmp_path, store=url) as (_, store):

        async def refused(work: Any) -> str:
            with pytest.raises(Refused) as error:
                await store.inner.change(work)
            assert error.value.code in (Code.INVALID_REQUEST, Code.NOT_FOUND)
            return error.value.sentence

        _, key = await store.inner.change(lambda sql: registry.add_client(sql, "a"))
        assert "already" in await refused(lambda sql: registry.add_client(sql, "a"))
        assert "this key" in await refused(lambda sql: registry.add_client(sql, "b", key=key))
        assert "8 to 512" in await refused(lambda sql: registry.add_client(sql, "b", key="short"))
        assert "type of client" in await refused(lambda sql: registry.add_client(sql, "b", "LOUD"))
        assert "role" in await refused(lambda sql: registry.add_service(sql, "b", "king"))
        for name in ("", "a/b", "x" * 200, "a\nb", " a"):
            assert "A name has" in await refused(lambda sql, name=name: registry.add_client(sql, name))
        assert "nobody called" in await refused(lambda sql: registry.rotate(sql, "nobody"))
        assert "nobody called" in await refused(lambda sql: registry.revoke(sql, "nobody"))
        assert [each.id for each in await store.inner.read(registry.everybody)] == ["a"]


async def test_an_owner_without_a_key_keeps_their_conversations(
    tmp_path: Path, section: Any, url: str
) -> None:
    async with section(tmp_path, store=url) as (plugin, store):
        talk = await store.open_conversation("ana")
        _, key = await store.inner.change(lambda sql: registry.add_client(sql, "ana"))
        owner = (await plugin.jota_authenticate(shown(key))).id
        assert (await store.open_conversation(owner)).id == talk.id


async def test_a_store_that_is_away_is_not_a_wrong_key(postgres: Any, tmp_path: Path, section: Any) -> None:
    from benchmarks.postgres import PostgresServer

    with PostgresServer() as server:
        async with section(tmp_path, store=server.create("jota")) as (plugin, store):
            _, key = await store.inner.change(lambda sql: registry.add_client(sql, "salon"))
            assert await plugin.jota_authenticate(shown(key)) is not None
            server.kill()
            with pytest.raises(MemoryStoreError):
                await plugin.jota_authenticate(shown("another-key"))
            assert await plugin.jota_authenticate(shown(key)) is not None  # known for a moment
            server.start()
            assert await plugin.jota_authenticate(shown("another-key")) is None


@pytest.mark.usefixtures("fresh")
async def test_preferences_are_honoured(tmp_path: Path, section: Any, url: str) -> None:
    async with section(tmp_path, store=url) as (plugin, store):
        draft = TurnDraft("t", 1, Principal("ana"), "hi", "You are Jota.")
        assert await plugin.jota_prepare_turn(draft) == draft
        talk = await store.open_conversation("ana")
        wishes = {
            "system_prompt_extra": "Speak Spanish.", "conversation_memory_limit": 1, "preferred_model_id": "big",
        }  # fmt: skip
        await store.inner.change(lambda sql: configs.changed_config(sql, "ana", wishes))
        assert (await plugin.jota_prepare_turn(draft)).system == "You are Jota.\n\nSpeak Spanish."
        record = await store.begin_turn("t", talk.id, "ana", "q")
        from jota_core.api import Outcome, TurnResult

        await store.finish_turn(record, TurnResult(Outcome.COMPLETE, "a"))
        assert [m.content for m in await store.recall(talk.id, "ana", limit=50)] == ["a"]
        assert (await store.open_conversation("ana", new=True)).model_id == "big"
        assert (await store.open_conversation("ben", new=True)).model_id is None


async def test_what_is_remembered_of_keys_is_bounded(
    tmp_path: Path, section: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jota_db.people.authenticator.MOST", 5)
    async with section(tmp_path) as (_, store):
        authenticator = Authenticator()
        for number in range(20):
            assert await authenticator.principal(store.inner, shown(f"guess-{number}")) is None
        assert len(authenticator._known) == 5


def jota(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jota_core.cli", "clients", *arguments]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("JOTA_")}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={**environ, "JOTA_DATA": str(folder)},
    )  # fmt: skip


async def test_the_command_works_while_a_host_runs(tmp_path: Path, section: Any) -> None:
    async with section(tmp_path) as (plugin, _):
        added = jota(tmp_path, "add", "salon")
        assert (added.returncode, "not shown again" in added.stderr) == (0, True), added.stderr
        key = added.stdout.split()[-1]
        assert (await plugin.jota_authenticate(shown(key))).id == "salon"
        assert jota(tmp_path, "add", "orch", "--type", "service").returncode == 0
        listed = jota(tmp_path, "list").stdout
        assert "salon" in listed and "orch" in listed and key not in listed
        newer = jota(tmp_path, "rotate", "salon").stdout.split()[-1]
        assert (await plugin.jota_authenticate(shown(newer))).id == "salon"
        assert jota(tmp_path, "revoke", "salon").returncode == 0
        assert "○" in jota(tmp_path, "list").stdout
        for wrong in (("add", "orch"), ("revoke", "nobody"), ("add", "b", "--store", "mysql://x")):
            done = jota(tmp_path, *wrong)
            assert (done.returncode, "Traceback" in done.stderr, bool(done.stderr)) == (2, False, True)
