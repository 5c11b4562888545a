"""A backup while a host writes, and back again."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from jota_core.testing import free_port

from .conftest import ECHO, Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path, free_port())
    (tmp_path / "jota.yaml").write_text(ECHO % place.port)
    return place


def said(place: Place) -> list[str]:
    found = place.get("/api/v1/conversations?user_id=ana")["conversations"]
    messages = place.get(f"/api/v1/conversations/{found[0]['id']}/messages?user_id=ana&limit=200")["messages"]
    return [each["content"] for each in messages if each["role"] == "user"]


def test_a_backup_of_a_running_host_holds_what_was_acknowledged_and_can_be_put_back(place: Place) -> None:
    saved = place.folder / "saved.db"
    with place.running() as process:
        place.health()
        before = [f"before {number}" for number in range(10)]
        for text in before:
            place.chat(text)
        chatting = threading.Thread(target=lambda: [place.chat(f"during {number}") for number in range(10)])
        chatting.start()
        done = place.jota("db", "backup", str(saved), "--data", "data")
        assert done.returncode == 0, done.stderr
        chatting.join()
        place.chat("after")
        assert place.jota("db", "backup", str(saved), "--data", "data").returncode == 2, (
            "nothing is written over"
        )
        refused = place.jota("db", "restore", str(saved), "--data", "data")
        assert refused.returncode == 2
        assert "is in use by another process" in refused.stderr
        process.terminate()
        assert process.wait(20) == 0
    assert saved.stat().st_mode & 0o077 == 0
    done = place.jota("db", "restore", str(saved), "--data", "data")
    assert done.returncode == 0, done.stderr
    with place.running():
        place.health()
        found = said(place)
        assert found[:10] == before
        assert "after" not in found
        assert place.chat("and on")["response"]
    assert list((place.folder / "data").glob("jota.db.before-*"))


def test_what_is_no_backup_changes_nothing(place: Place) -> None:
    with place.running() as process:
        place.health()
        place.chat("hello")
        process.terminate()
        process.wait(20)
    store = place.folder / "data/jota.db"
    other = place.folder / "other.db"
    with closing(sqlite3.connect(other)) as made:
        made.execute("CREATE TABLE something (id)")
    (place.folder / "rubbish.db").write_bytes(b"no database" * 100)
    whole = store.read_bytes()
    for name in ("other.db", "rubbish.db", "missing.db"):
        done = place.jota("db", "restore", name, "--data", "data")
        assert done.returncode == 2
        assert "is no whole backup" in done.stderr
        assert "Traceback" not in done.stderr
    assert store.read_bytes() == whole


def test_a_server_has_its_own_tool(place: Place) -> None:
    done = place.jota("db", "backup", "x", "--store", "postgresql://jota:secret@nowhere/jota")
    assert done.returncode == 2
    assert "pg_dump" in done.stderr
