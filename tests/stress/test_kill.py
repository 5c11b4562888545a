"""`kill -9` at random instants: what was acknowledged is stored once, and what was read is stored.

`JOTA_KILLS` says how often (12); a thousand is the long run, about half an hour.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import pytest

from benchmarks.process import Server, free_port, host

from .app import App, Heard

KILLS = int(os.environ.get("JOTA_KILLS", "12"))
USERS = 6
READY_S = 2.0
TAIL_S = 1.3
"""An answer is kept at least once a second; a busy machine gets a little more."""
MARK = "[INTERRUPTED]"
HISTORY = 60
"""Newest messages that are looked at after each kill."""


@pytest.fixture
def chance() -> Iterator[random.Random]:
    """The same instants in every run."""
    yield random.Random(4711)


async def test_what_was_acknowledged_survives_kill_9(
    tmp_path: Path, chance: random.Random, http: aiohttp.ClientSession
) -> None:
    port, told = free_port(), dict[str, list[Heard]]()
    for number in range(KILLS + 1):
        with host(tmp_path, port=port, log=tmp_path / "log") as server:
            seconds = server.ready()
            assert number == 0 or seconds < READY_S
            for user, heard in told.items():
                await check(http, server, user, heard)
            if number < KILLS:
                told, killed_at = await live_until_killed(http, server, chance)
                for turns in told.values():
                    forget_the_tail(turns, killed_at)
    assert "Traceback" not in (tmp_path / "log").read_text()


async def live_until_killed(
    http: aiohttp.ClientSession, server: Server, chance: random.Random
) -> tuple[dict[str, list[Heard]], float]:
    """Everybody talks; returns what each has heard, and when it ended."""
    told: dict[str, list[Heard]] = {f"user{index}": [] for index in range(USERS)}
    talks = [asyncio.ensure_future(talk(http, server, user, heard)) for user, heard in told.items()]
    await asyncio.sleep(chance.uniform(0.05, 2.5))
    server.kill()
    killed_at = monotonic()
    await asyncio.gather(*talks)
    return told, killed_at


async def talk(http: aiohttp.ClientSession, server: Server, user: str, told: list[Heard]) -> None:
    """Ask again and again, short and long answers, until the host is gone."""
    with suppress(ConnectionError, aiohttp.ClientError):
        async with App(http, server, user) as app:
            for number in range(1000):
                told.append(Heard(f"{user} {number} tokens={(3, 120)[number % 2]} pace=60"))
                await app.ask(told[-1].prompt, told[-1])


def forget_the_tail(turns: list[Heard], killed_at: float) -> None:
    """Keep in `times` only what must be on the disk: all of a finished turn, else what is old enough."""
    for heard in turns:
        if heard.end is None:
            heard.times = [at for at in heard.times if at < killed_at - TAIL_S]


async def check(http: aiohttp.ClientSession, server: Server, user: str, turns: list[Heard]) -> None:
    """Compare the store with what one user has heard in the life before."""
    async with App(http, server, user) as app:
        stored = await app.stored(HISTORY)
    ids = [message["id"] for message in stored]
    assert len(ids) == len(set(ids))
    for heard in [heard for heard in turns if heard.turn is not None][-HISTORY // 2 + 1 :]:
        assert heard.turn is not None
        messages = [message for message in stored if message["turn_id"] == heard.turn["turn_id"]]
        question, *answers = messages
        assert (question["id"], question["content"]) == (heard.turn["message_id"], heard.prompt)
        assert len(answers) <= 1
        check_answer(heard, answers)


def check_answer(heard: Heard, answers: list[dict[str, Any]]) -> None:
    """A finished answer is stored as it was read; a cut one as far as it was safe, and marked."""
    if heard.end is not None:
        assert [(a["id"], a["content"]) for a in answers] == [(heard.end["message_id"], heard.text)]
        return
    content = answers[0]["content"] if answers else f" {MARK}"
    # Killed between the last write and telling of it: stored whole, and the app could not know.
    if content == "".join(f" w{index}" for index in range(content.count(" w"))):
        assert content.startswith(heard.text)
        return
    assert content.endswith(MARK)
    kept = content.removesuffix(MARK).rstrip()
    assert heard.text.startswith(kept) or kept.startswith(heard.text)
    assert kept.count(" w") >= len(heard.times)
