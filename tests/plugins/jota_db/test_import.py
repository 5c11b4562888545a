"""`jota db import`: a database as the public JotaDB leaves it, with plain-text keys."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from benchmarks.postgres import PostgresServer
from jota_core.api import Credentials

TABLES = """
CREATE TABLE client (id VARCHAR PRIMARY KEY, name VARCHAR, client_key VARCHAR, is_active BOOLEAN,
    client_type VARCHAR, created_at TIMESTAMP, updated_at TIMESTAMP, version INTEGER);
CREATE TABLE internalservice (id VARCHAR PRIMARY KEY, api_key VARCHAR, is_active BOOLEAN,
    created_at TIMESTAMP, updated_at TIMESTAMP, version INTEGER);
CREATE TABLE inferenceprovider (id INTEGER PRIMARY KEY, name VARCHAR, base_url VARCHAR, api_key VARCHAR,
    is_active BOOLEAN);
CREATE TABLE clientconfig (id INTEGER PRIMARY KEY, client_id VARCHAR, stt_language VARCHAR, tts_speed FLOAT,
    system_prompt_extra VARCHAR, conversation_memory_limit INTEGER);
CREATE TABLE conversation (id INTEGER PRIMARY KEY, title VARCHAR, status VARCHAR, client_id VARCHAR,
    model_id VARCHAR, provider_id INTEGER, created_at TIMESTAMP, updated_at TIMESTAMP, version INTEGER);
CREATE TABLE message (id VARCHAR PRIMARY KEY, conversation_id INTEGER, role VARCHAR, content VARCHAR,
    ai_model_id VARCHAR, extra_data VARCHAR, created_at TIMESTAMP, updated_at TIMESTAMP, version INTEGER);
INSERT INTO client VALUES ('salon', 'Salón', 'salon-plain-key', true, 'CHAT', '2026-04-01 09:00:00.000001', NULL, 1);
INSERT INTO client VALUES ('old', 'Old', 'old-plain-key', false, 'QUICK', '2026-04-01 09:00:00', NULL, 1);
INSERT INTO client VALUES ('short', 'Short', 'k', true, 'CHAT', '2026-04-01 09:00:00', NULL, 1);
INSERT INTO internalservice VALUES ('orch-1', 'orch-plain-key', true, NULL, NULL, 1);
INSERT INTO inferenceprovider VALUES (1, 'local', 'ws://x', 'not-a-service', true);
INSERT INTO clientconfig VALUES (1, 'salon', 'es', 1.5, 'Habla claro.', 20);
INSERT INTO conversation VALUES (7, 'cena', 'active', 'salon', 'm', NULL, '2026-04-01 10:00:00', NULL, 1);
INSERT INTO message VALUES ('b', 7, 'assistant', 'Vale', 'm', '{}', '2026-04-01 10:00:02', NULL, 1);
INSERT INTO message VALUES ('a', 7, 'user', 'hola', NULL, NULL, '2026-04-01 10:00:01', NULL, 1);
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jota_core.cli", "db", "import", *arguments, "--data", str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def public(request: pytest.FixtureRequest, postgres: PostgresServer, tmp_path: Path) -> str:
    if request.param == "sqlite":
        with sqlite3.connect(tmp_path / "public.db") as db:
            db.executescript(TABLES)
        db.close()
        return "sqlite:///public.db"
    url = postgres.create(f"public_{secrets.token_hex(8)}")

    async def make() -> None:
        db = await asyncpg.connect(url)
        await db.execute(TABLES)
        await db.close()

    asyncio.run(make())
    return url


def test_everything_arrives_and_keys_go_on_working(public: str, tmp_path: Path, section: Any) -> None:
    done = run(tmp_path, public)
    assert done.returncode == 0, done.stderr
    assert "clients: 2" in done.stdout and "messages: 2" in done.stdout
    assert "left alone: client short: A key has 8" in done.stdout

    async def look() -> None:
        async with section(tmp_path) as (plugin, store):
            owner = await plugin.jota_authenticate(Credentials("app", None, "salon-plain-key"))
            assert owner.id == "salon"
            assert await plugin.jota_authenticate(Credentials("app", None, "old-plain-key")) is None
            service = await plugin.jota_authenticate(Credentials("app", "salon", "orch-plain-key"))
            assert "service" in service.roles
            assert await plugin.jota_authenticate(Credentials("app", None, "not-a-service")) is None
            talk = await store.open_conversation("salon")
            assert (talk.title, talk.model_id, talk.created_at.year) == ("cena", "m", 2026)
            said = [(m.role, m.content) for m in await store.recall(talk.id, "salon", limit=9)]
            assert said == [("user", "hola"), ("assistant", "Vale")]
            assert [m.content for m in await store.search("salon", "hola")] == ["hola"]
            assert (await plugin._memory.preferences("salon")).system_prompt_extra == "Habla claro."

    asyncio.run(look())
    assert b"salon-plain-key" not in (tmp_path / "jota.db").read_bytes()
    again = run(tmp_path, public)
    assert (again.returncode, "of 'salon' already" in again.stderr) == (2, True)


def test_another_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("CREATE TABLE something (id INTEGER)")
    db.close()
    for source, says in (
        ("sqlite:///other.db", "no tables of the public"),
        ("sqlite:///none.db", "There is no"),
    ):
        done = run(tmp_path, source)
        assert (done.returncode, says in done.stderr, "Traceback" in done.stderr) == (2, True, False)
