"""The floor of the store: the same transactions in the same tables by the bare drivers.

A group of 64 turns begins in one transaction and ends in another, as the store's group commit does at best.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

from .memory import Memory

WRITERS = 64
QUESTION = "What is the code of the boiler in the cellar?"
ANSWER = "It is 4711, as you told me on Monday. " * 4
WORDS_ASKED, WORDS_SAID = "what is the code of boiler in cellar", "it is 4711 as you told me on monday"
_number = count(1)
REST = (None, None, 1, None, 0)

TURN = (
    "INSERT INTO turns (seq, id, conversation_id, client_id, message_id, answer_id, state, note, error_code, "
    "stats, started_at, finished_at, host) VALUES ({})"
)
ENDED = (
    " ON CONFLICT (seq) DO UPDATE SET state = excluded.state, note = excluded.note, stats = excluded.stats, "
    "error_code = excluded.error_code, finished_at = excluded.finished_at"
)
MESSAGE = (
    "INSERT INTO messages (turn_seq, position, id, role, content, thought, ai_model_id, extra_data, "
    "created_at) VALUES ({})"
)
TOUCH = "UPDATE conversations SET updated_at = {}, version = version + 1, activity = {} WHERE id = {}"


def _groups(turns: int) -> Iterator[tuple[list[Any], list[Any], list[Any], list[Any], list[Any]]]:
    """Rows of turns as they begin, their questions, as they end, their answers, and conversations."""
    for _ in range(turns // WRITERS):
        seqs = [next(_number) for _ in range(WRITERS)]
        begun = [
            (
                seq,
                f"bare-{seq}",
                talk,
                f"user{talk - 1}",
                f"q{seq}",
                f"a{seq}",
                "running",
                "",
                None,
                None,
                1,
                None,
                0,
            )
            for talk, seq in enumerate(seqs, 1)
        ]
        ended = [(*row[:6], "complete", "", None, "{}", 1, 2, 0) for row in begun]
        asked = [(seq, 0, f"q{seq}", "user", QUESTION, "", None, None, 1) for seq in seqs]
        said = [(seq, 1, f"a{seq}", "assistant", ANSWER, "", None, None, 2) for seq in seqs]
        yield begun, asked, ended, said, [(2, seq, talk) for talk, seq in enumerate(seqs, 1)]


async def _prepare(folder: Path, url: str) -> None:
    """The store's own tables, with a conversation for each writer."""
    async with Memory(folder, url) as memory:
        for number in range(WRITERS):
            await memory.store.open_conversation(f"user{number}")


def bare_sqlite(folder: Path, turns: int) -> float:
    """Turns a second."""
    for old in folder.glob("bare.db*"):
        old.unlink()
    asyncio.run(_prepare(folder, "sqlite:///bare.db"))
    turn, message, touch = TURN.format(_marks(13)), MESSAGE.format(_marks(9)), TOUCH.format("?", "?", "?")
    words = "INSERT INTO message_search (rowid, words) VALUES (?, ?)"
    db = sqlite3.connect(folder / "bare.db", isolation_level=None)
    db.execute("PRAGMA synchronous = full")
    began = perf_counter()
    for begun, asked, ended, said, touched in _groups(turns):
        db.execute("BEGIN IMMEDIATE")
        db.executemany(turn, begun)
        db.executemany(message, asked)
        db.executemany(touch, touched)
        db.execute("COMMIT")
        db.execute("BEGIN IMMEDIATE")
        db.executemany(turn + ENDED, ended)
        db.executemany(message, said)
        db.executemany(words, [(row[0] * 2, WORDS_ASKED) for row in asked])
        db.executemany(words, [(row[0] * 2 + 1, WORDS_SAID) for row in said])
        db.executemany(touch, touched)
        db.execute("COMMIT")
    seconds = perf_counter() - began
    db.close()
    return turns / seconds


def bare_postgres(folder: Path, url: str, turns: int) -> float:
    """Turns a second."""
    return asyncio.run(_bare_asyncpg(folder, url, turns))


async def _bare_asyncpg(folder: Path, url: str, turns: int) -> float:
    import asyncpg

    await _prepare(folder, url)
    turn, message = TURN.format(_numbers(13)), MESSAGE.format(_numbers(9))
    touch = TOUCH.format("$1", "$2", "$3")
    words = "INSERT INTO message_search VALUES ($1, $2, array_to_tsvector($3::text[]))"
    db = await asyncpg.connect(url)
    await db.execute("TRUNCATE turns CASCADE")
    began = perf_counter()
    for begun, asked, ended, said, touched in _groups(turns):
        async with db.transaction():
            await db.executemany(turn, begun)
            await db.executemany(message, asked)
            await db.executemany(touch, touched)
        async with db.transaction():
            await db.executemany(turn + ENDED, ended)
            await db.executemany(message, said)
            await db.executemany(words, [(row[0], 0, WORDS_ASKED.split()) for row in asked])
            await db.executemany(words, [(row[0], 1, WORDS_SAID.split()) for row in said])
            await db.executemany(touch, touched)
    seconds = perf_counter() - began
    await db.close()
    return turns / seconds


def _marks(width: int) -> str:
    return ", ".join("?" * width)


def _numbers(width: int) -> str:
    return ", ".join(f"${place}" for place in range(1, width + 1))
