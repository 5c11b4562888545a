"""The store alone: writes, recall and search on both databases, against the bare drivers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from ..bare_store import ANSWER, QUESTION, WRITERS, bare_postgres, bare_sqlite
from ..harness import Figure, Scale, interleaved, percentile, ratio
from ..memory import TALKS_IN_ALL, Memory, filled
from ..postgres import PostgresServer

WRITES_RATIO = 0.6
RECALL_MS = 5.0
RECALL_RATIO = 1.3
SEARCH_MS = 50.0
CROWD = 500
CROWD_RATIO = 3.0


def store(scale: Scale) -> Iterator[Figure]:
    """Durable turns a second, recall and search in a large store, many turns at once, on both databases."""
    with PostgresServer() as server:
        yield _writes(scale, "SQLite", "sqlite:///writes.db", lambda turns: bare_sqlite(scale.folder, turns))
        url, other = server.create("writes"), server.create("bare")
        yield _writes(scale, "PostgreSQL", url, lambda turns: bare_postgres(scale.folder, other, turns))
        yield _crowd(scale, url)
        count = scale.of(1_000_000, 50_000)
        for name, where in (
            ("SQLite", "sqlite:///large.db"),
            ("PostgreSQL", server.create("large")),
        ):
            yield from _large(scale, name, where, count)


def _writes(scale: Scale, name: str, url: str, bare: Callable[[int], float]) -> Figure:
    """Turns: a question and an answer, each durable before it is acknowledged, by 64 writers at once."""
    turns = scale.of(4000, 800)
    measures = {
        "store turns/s": lambda: asyncio.run(_turns(scale.folder, url, turns)),
        "bare turns/s": lambda: bare(turns),
    }
    raw = interleaved(measures, scale.of(5, 3))
    value = ratio(raw, "store turns/s", "bare turns/s")
    title = f"Durable turns a second, {name}, {WRITERS} writers: store / bare driver"
    return Figure(title, value, at_least=WRITES_RATIO, raw=raw)


async def _turns(folder: Path, url: str, count: int) -> float:
    async with Memory(folder, url) as memory:

        async def writer(number: int) -> None:
            owner = f"user{number}"
            talk = await memory.store.open_conversation(owner)
            for _ in range(count // WRITERS):
                await memory.turn(talk.id, owner, QUESTION, ANSWER)

        began = perf_counter()
        await asyncio.gather(*(writer(number) for number in range(WRITERS)))
        return count / (perf_counter() - began)


def _crowd(scale: Scale, url: str) -> Figure:
    """500 turns that begin at once: nobody waits long for a connection."""
    waits = [wait for _ in range(scale.of(5, 2)) for wait in asyncio.run(_at_once(scale.folder, url))]
    p50, p99 = median(waits), percentile(waits, 99)
    raw = {"p50 ms": p50 * 1000, "p99 ms": p99 * 1000, "most ms": max(waits) * 1000}
    return Figure(f"{CROWD} turns at once, PostgreSQL: p99 / p50", p99 / p50, at_most=CROWD_RATIO, raw=raw)


async def _at_once(folder: Path, url: str) -> list[float]:
    async with Memory(folder, url) as memory:
        talks = [await memory.store.open_conversation(f"crowd{number}") for number in range(CROWD)]

        async def one(number: int) -> float:
            began, key = perf_counter(), talks[number].id
            await memory.store.recall(key, f"crowd{number}", limit=20)
            await memory.turn(key, f"crowd{number}", QUESTION, ANSWER)
            return perf_counter() - began

        return list(await asyncio.gather(*(one(number) for number in range(CROWD))))


def _large(scale: Scale, name: str, url: str, count: int) -> Iterator[Figure]:
    talks = filled(scale.folder, url, count)
    asks = scale.of(2000, 300)
    recalls = asyncio.run(_recalls(scale.folder, url, talks, asks))
    shown = f"{count:,} messages, {name}"
    p99 = {f"{way} p99 ms": percentile(found, 99) for way, found in recalls.items()}
    raw = {**{f"{way} p50 ms": median(found) for way, found in recalls.items()}, **p99}
    if "bare" in recalls:
        value = median(recalls["store"]) / median(recalls["bare"])
        yield Figure(f"Recall of 20 of {shown}: store / asyncpg, p50", value, at_most=RECALL_RATIO, raw=raw)
    else:
        yield Figure(f"Recall of 20 of {shown}, p99", p99["store p99 ms"], "ms", at_most=RECALL_MS, raw=raw)
    found = asyncio.run(_searches(scale.folder, url, count, scale.of(400, 60)))
    yield Figure(
        f"Search in {shown}, p95", percentile(found, 95), "ms", at_most=SEARCH_MS,
        raw={"p50 ms": median(found), "most ms": max(found)},
    )  # fmt: skip


async def _recalls(folder: Path, url: str, talks: list[tuple[int, str]], asks: int) -> dict[str, list[float]]:
    """Conversations that nobody has used since the start: nothing is known without asking."""
    chance, waits = Random(4711), dict[str, list[float]]()
    async with Memory(folder, url) as memory, _bare_recall(url) as bare:
        inner = memory.store.opened()
        for _ in range(asks):
            key, owner = chance.choice(talks)
            ways: dict[str, Callable[[], Awaitable[Any]]] = {
                "store": partial(inner.recall_from_database, key, owner, limit=20)
            }
            if bare:
                ways["bare"] = partial(bare, key, owner)
            for way, ask in ways.items():
                began = perf_counter()
                found = await ask()
                waits.setdefault(way, []).append((perf_counter() - began) * 1000)
                assert len(found) == 20, found
    return waits


RECALL = """
SELECT m.id, t.conversation_id, t.id, m.role, m.content, m.created_at, t.note, m.thought, t.state,
       m.ai_model_id, m.position, t.seq
FROM turns t JOIN messages m ON m.turn_seq = t.seq
WHERE t.conversation_id = $1 AND t.client_id = $2 AND t.state <> 'running'
ORDER BY t.seq DESC, m.position DESC LIMIT 20
"""


@asynccontextmanager
async def _bare_recall(url: str) -> AsyncIterator[Callable[[int, str], Awaitable[Any]] | None]:
    if url.startswith("sqlite"):
        yield None
        return
    import asyncpg

    db = await asyncpg.connect(url)
    try:
        yield partial(db.fetch, RECALL)
    finally:
        await db.close()


async def _searches(folder: Path, url: str, messages: int, asks: int) -> list[float]:
    """Two words of a rare topic, of a client with many conversations."""
    chance, waits = Random(4711), list[float]()
    async with Memory(folder, url) as memory:
        for _ in range(asks):
            word = f"topic{chance.randrange(messages // 2 // TALKS_IN_ALL)}"
            began = perf_counter()
            found = await memory.store.search("user0", f"{word} boiler", limit=50)
            waits.append((perf_counter() - began) * 1000)
            assert found, word
    return waits
