"""Search over all of a client's conversations, the same on both databases."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jota_core.api import MemoryStore, Outcome, TurnResult
from jota_db.sql.words import LONGEST_WORD, owner_word, words_of


async def say(
    store: MemoryStore, owner: str, turn: str, question: str, answer: str, *, new: bool = False
) -> int:
    talk = await store.open_conversation(owner, new=new)
    record = await store.begin_turn(turn, talk.id, owner, question)
    await store.finish_turn(record, TurnResult(Outcome.COMPLETE, answer))
    return talk.id


async def found(store: MemoryStore, query: str, owner: str = "ana", limit: int = 50) -> list[str]:
    return [message.content for message in await store.search(owner, query, limit=limit)]


async def test_words_are_found_newest_first_without_accents_and_capitals(store: MemoryStore) -> None:
    await say(store, "ana", "t1", "¿Dónde está el CAMIÓN?", "Der Bahnhof heißt Süd.")
    await say(store, "ana", "t2", "El código de la caldera es 4711", "Vale, código 4711.", new=True)
    await say(store, "ben", "t3", "otro camión", "sí")
    assert await found(store, "camion") == ["¿Dónde está el CAMIÓN?"]
    assert await found(store, "Código 4711") == ["Vale, código 4711.", "El código de la caldera es 4711"]
    assert await found(store, "calder") == ["El código de la caldera es 4711"], (
        "the beginning of a word is enough"
    )
    assert await found(store, "sud heisst") == ["Der Bahnhof heißt Süd."]
    assert await found(store, "camion", "ben") == ["otro camión"]
    assert await found(store, "4711 camion") == []
    assert await found(store, "codigo", limit=1) == ["Vale, código 4711."]
    for nothing in ("", "  ", "¿?", "nowhere", owner_word("ana")):
        assert await found(store, nothing) == []


async def test_no_query_is_more_than_words(store: MemoryStore) -> None:
    await say(store, "ana", "t", "a 'quoted' \"word\" OR not", "x")
    for query in (
        '"word',
        "'quoted'",
        "word OR nowhere",
        "NOT word",
        "a* -b",
        "word:*",
        "(word",
        "w & !x",
        "\0",
    ):
        assert isinstance(await found(store, query), list)
    assert await found(store, "'quoted' & \"word\"") == ["a 'quoted' \"word\" OR not"]


async def test_what_is_deleted_is_not_found_any_more(tmp_path: Path, section: Any, url: str) -> None:
    async with section(tmp_path, store=url) as (_, store):
        key = await say(store, "ana", "t1", "the xylophone", "plays")
        await say(store, "ana", "t2", "another xylophone", "rests", new=True)
        await store.delete_conversation(key, "ana")
        assert await found(store, "xylophone") == ["another xylophone"]
        assert await found(store, "plays") == []


async def test_cut_turns_are_found_after_a_restart(tmp_path: Path, section: Any, url: str) -> None:
    async with section(tmp_path, store=url) as (_, store):
        talk = await store.open_conversation("ana")
        await store.checkpoint(await store.begin_turn("t", talk.id, "ana", "the zither"), "plays so far")
        assert await found(store, "zither") == []
    async with section(tmp_path, store=url) as (_, store):
        assert await found(store, "zither") == ["the zither"]
        assert await found(store, "far") == ["plays so far [INTERRUPTED]"]


async def test_a_store_from_before_is_made_searchable_once(tmp_path: Path, section: Any) -> None:
    async with section(tmp_path) as (_, store):
        for number in range(700):
            await say(store, "ana", f"t{number}", f"q{number}", f"a{number}")
    with sqlite3.connect(tmp_path / "jota.db") as db:
        db.execute("DELETE FROM message_search")
    db.close()
    async with section(tmp_path) as (_, store):
        for word in ("q0", "a0", "q699", "a699", "q250", "a500"):
            assert word in await found(store, word, limit=200)


@given(st.text())
def test_words_are_plain(text: str) -> None:
    words = words_of(text)
    assert len(words) == len(set(words))
    for word in words:
        assert 0 < len(word) <= LONGEST_WORD
        assert not set(word) & set("'\"\\&|!():* \0_")
