"""Opening a store: fresh, again, newer, foreign, broken, not writable, in use."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jota_core.api import MemoryStoreError, NotReady, Outcome, SetupFailed, TurnResult
from jota_db import JotaDb


def shape(path: Path) -> list[Any]:
    """Tables, columns, keys and indexes of a file."""
    with sqlite3.connect(path) as db:
        tables = [
            row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY 1")
        ]
        shape: list[Any] = []
        for table in tables:
            keys = sorted(row[2:7] for row in db.execute(f"PRAGMA foreign_key_list({table})"))
            shape.append((table, db.execute(f"PRAGMA table_info({table})").fetchall(), keys))
            for _, index, *rest in sorted(db.execute(f"PRAGMA index_list({table})")):
                shape.append((rest, db.execute(f"PRAGMA index_info({index})").fetchall()))
        texts = db.execute("SELECT sql FROM sqlite_master WHERE type='index' AND sql IS NOT NULL ORDER BY 1")
        shape.append(texts.fetchall())
        counted = "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%' ORDER BY 1"
        shape.append(db.execute(counted).fetchall())
    db.close()
    return shape


def test_migrations_make_the_same_tables(tmp_path: Path) -> None:
    from jota_db.sql.schema import migrate
    from jota_db.sqlite.schema import bring_up_to_date, changing

    bring_up_to_date(tmp_path / "created.db")
    with changing(tmp_path / "migrated.db") as connection:
        migrate(connection)
    created, migrated = shape(tmp_path / "created.db"), shape(tmp_path / "migrated.db")
    assert sorted(map(str, migrated)) == sorted(map(str, created))
    before = (tmp_path / "migrated.db").read_bytes()
    bring_up_to_date(tmp_path / "migrated.db")
    assert (tmp_path / "migrated.db").read_bytes() == before


def test_the_last_known_revision_is_the_head_of_the_migrations() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    import jota_db
    from jota_db.sql.schema import REVISIONS

    config = Config()
    config.set_main_option("script_location", str(Path(jota_db.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS


async def test_files_are_private(tmp_path: Path, section: Any) -> None:
    async with section(tmp_path, store="sqlite:///var/deep/jota.db") as (_, store):
        await store.open_conversation("u")
        folder = tmp_path / "var" / "deep"
        assert {path.name for path in folder.iterdir()} >= {"jota.db", "jota.db-wal"}
        assert {path.stat().st_mode & 0o077 for path in folder.iterdir()} == {0}


async def test_what_was_said_is_there_after_a_restart(tmp_path: Path, section: Any) -> None:
    async with section(tmp_path) as (_, store):
        talk = await store.open_conversation("u")
        record = await store.begin_turn("t", talk.id, "u", "The code is 4711")
        await store.finish_turn(record, TurnResult(Outcome.COMPLETE, "Noted"))
        kept = list(await store.recall(talk.id, "u", limit=10))
    async with section(tmp_path) as (_, store):
        assert (await store.open_conversation("u")).id == talk.id
        assert list(await store.recall(talk.id, "u", limit=10)) == kept


async def test_it_is_not_available_before_and_after(tmp_path: Path, section: Any) -> None:
    (store,) = JotaDb(JotaDb.Settings()).jota_memories()
    assert store.available is False
    with pytest.raises(MemoryStoreError, match="not open yet"):
        await store.open_conversation("u")
    async with section(tmp_path) as (_, store):
        assert store.available is True
    assert store.available is False


async def test_a_newer_store_is_left_alone(tmp_path: Path, section: Any) -> None:
    async with section(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "jota.db") as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    db.close()
    before = (tmp_path / "jota.db").read_bytes()
    with pytest.raises(SetupFailed, match="newer Jota"):
        async with section(tmp_path):
            pass
    assert (tmp_path / "jota.db").read_bytes() == before


async def test_a_foreign_file_is_left_alone(tmp_path: Path, section: Any) -> None:
    with sqlite3.connect(tmp_path / "jota.db") as db:
        db.execute("CREATE TABLE recipes (id)")
    db.close()
    with pytest.raises(SetupFailed, match="not a store of Jota"):
        async with section(tmp_path):
            pass


@pytest.mark.parametrize("damage", ["garbage", "a page of zeros"])
async def test_a_broken_file_is_moved_aside(tmp_path: Path, section: Any, damage: str) -> None:
    path = tmp_path / "jota.db"
    async with section(tmp_path) as (_, store):
        talk = await store.open_conversation("u")
        await store.begin_turn("t", talk.id, "u", "x" * 50_000)
    broken = bytearray(path.read_bytes())
    broken = bytearray(b"garbage" * 1000) if damage == "garbage" else broken[:4096] + b"\0" * 8192
    path.write_bytes(broken)
    async with section(tmp_path) as (plugin, store):
        health = await plugin.jota_health()
        assert not health.ok
        (aside,) = [p for p in tmp_path.iterdir() if ".corrupt-" in p.name and not p.name.endswith("wal")]
        assert str(aside) in health.detail
        assert aside.read_bytes() == bytes(broken)
        assert await store.list_conversations("u") == []
        await store.open_conversation("u")
    async with section(tmp_path) as (plugin, store):
        assert (await plugin.jota_health()).ok
        assert len(await store.list_conversations("u")) == 1


async def test_two_hosts_do_not_share_a_store(tmp_path: Path, section: Any) -> None:
    async with section(tmp_path):
        with pytest.raises(NotReady, match="in use by another process"):
            async with section(tmp_path):
                pass
    async with section(tmp_path):
        pass


async def test_a_folder_that_cannot_be_made_is_waited_for(tmp_path: Path, section: Any) -> None:
    (tmp_path / "var").write_text("a file where a folder should be")
    with pytest.raises(NotReady, match="cannot be written"):
        async with section(tmp_path, store="sqlite:///var/jota.db"):
            pass
    (tmp_path / "var").unlink()
    async with section(tmp_path, store="sqlite:///var/jota.db") as (_, store):
        await store.open_conversation("u")


def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    """In a child without root's rights, which would make any folder writable."""
    program = """
import os, sys, pathlib
from jota_db.sqlite.files import StoreFile
if os.getuid() == 0:
    os.setuid(65534)
try:
    StoreFile(pathlib.Path(sys.argv[1]) / "jota.db").claim()
except Exception as error:
    print(type(error).__name__, error)
"""
    tmp_path.chmod(0o555)
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            capture_output=True, text=True, timeout=20, check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
    finally:
        tmp_path.chmod(0o755)
    assert done.stdout.startswith("NotReady The store ")
    assert "Make " in done.stdout and "writable" in done.stdout


@pytest.mark.parametrize(
    "url", ["", "jota.db", "sqlite:///", "postgresql://db", "mysql://db/jota", "sqlite://jota.db"]
)
def test_other_urls_are_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match="not a store that this version can open"):
        JotaDb.Settings(store=url)


def test_importing_the_plugin_is_cheap() -> None:
    program = (
        "import sys, jota_db; print([m for m in ('sqlalchemy','aiosqlite','alembic') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_opening_a_store_does_not_import_alembic(tmp_path: Path) -> None:
    program = """
import sys, pathlib
from jota_db.sqlite.schema import bring_up_to_date
for _ in range(2):
    bring_up_to_date(pathlib.Path(sys.argv[1]) / "jota.db")
print([m for m in ('alembic', 'sqlalchemy.orm') if m in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=20, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
