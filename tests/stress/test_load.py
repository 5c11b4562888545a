"""Many users over one link, for a while: every prompt ends once, no text crosses sessions, nothing is left behind.

Two real hosts: an orchestrator and its Inference Center. `JOTA_LOAD_S` says for how long (120 seconds in all).
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import pytest

from benchmarks.process import JOTA, Server, free_port, host

from .app import App, Heard, scripted, sessions_become, until

SECONDS = float(os.environ.get("JOTA_LOAD_S", "120")) / 2
"""Of each test: half of it with the scripted engine, half with the real one."""
USERS = 60
REAL_USERS = 12
GROWN_BYTES = 32_000_000


@dataclass
class Link:
    """Both hosts."""

    center: Server
    orchestrator: Server

    def __iter__(self) -> Iterator[Server]:
        return iter((self.center, self.orchestrator))

    def held(self) -> list[int]:
        """Open files and threads of both."""
        return [number for server in self for number in (server.files(), server.threads())]

    def memory(self) -> int:
        """What both take, in bytes."""
        return sum(server.rss_bytes() for server in self)


@contextmanager
def linked(folder: Path, **center: object) -> Iterator[Link]:
    """Both hosts while they run; neither may have logged a traceback, both stop in good order."""
    port, logs = free_port(), [folder / "center.log", folder / "orchestrator.log"]
    listen = {"plugins.center.listen": f"127.0.0.1:{port}", **center}
    use = {"plugins.llm.url": f"ws://127.0.0.1:{port}", "plugins.llm.sessions": 64}
    with (
        host(folder / "center", "center.yaml", settings=listen, log=logs[0]) as behind,
        host(folder / "orchestrator", "relay.yaml", settings=use, log=logs[1]) as before,
    ):
        behind.ready(120)
        before.ready()
        yield Link(behind, before)
        assert (before.stop(), behind.stop()) == (0, 0)
    assert not [log for log in logs if "Traceback" in log.read_text()]


Talk = Callable[[App, str, random.Random], Coroutine[Any, Any, Heard]]


async def everybody(
    http: aiohttp.ClientSession, link: Link, users: int, talk: Talk, seconds: float = SECONDS
) -> list[dict[str, Any]]:
    """All users talk until the time is over, what they heard is what is stored, once; how each turn ended."""
    until_then = monotonic() + seconds

    async def live(index: int) -> list[Heard]:
        name, chance, told = f"user{index}x", random.Random(index), list[Heard]()
        async with App(http, link.orchestrator, name) as app:
            while monotonic() < until_then:
                told.append(await talk(app, name, chance))
            assert await app.nothing_more(0.5)
            await _is_stored(app, told[-50:])
        return told

    lives = await asyncio.gather(*(live(index) for index in range(users)))
    return [heard.end for told in lives for heard in told if heard.end is not None]


async def _is_stored(app: App, told: list[Heard]) -> None:
    told = [heard for heard in told if heard.turn]  # what is cancelled before it begins is not kept
    stored = await app.stored(limit=2 * len(told))
    for heard, question, answer in zip(told, stored[::2], stored[1::2], strict=True):
        assert heard.end is not None
        assert question["content"] == heard.prompt
        if heard.end["type"] == "end":
            assert (answer["content"], answer["id"]) == (heard.text, heard.end["message_id"])
        else:
            assert answer["content"].startswith(heard.text) and answer["content"].endswith("[INTERRUPTED]")


async def test_many_users_of_a_fast_engine(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    async def talk(app: App, name: str, chance: random.Random) -> Heard:
        count, pace = chance.choice([(1, 0), (40, 0), (400, 0), (30, 60), (5000, 100)])
        heard = Heard(f"{chance.random()} tokens={count} pace={pace} word={name}")
        if count < 1000:
            await app.ask(heard.prompt, heard)
            assert heard.text == scripted(count, name)
        else:
            await _cancelled(app, heard, chance.random() / 4)
            assert scripted(count, name).startswith(heard.text)
        return heard

    with linked(tmp_path) as link:
        ends = await everybody(http, link, USERS, talk, SECONDS / 3)
        assert await sessions_become(http, link.orchestrator, 0)
        held, memory = link.held(), link.memory()
        ends += await everybody(http, link, USERS, talk, SECONDS * 2 / 3)
        assert {(end["type"], end["outcome"]) for end in ends} == {
            ("end", "complete"),
            ("aborted", "interrupted"),
        }
        assert len(ends) > USERS * SECONDS / 4
        assert await until(lambda: all(now <= then + 3 for now, then in zip(link.held(), held, strict=True)))
        assert link.memory() - memory < GROWN_BYTES


async def _cancelled(app: App, heard: Heard, after_s: float) -> None:
    """Ask, and cancel while the answer comes."""
    asking = asyncio.ensure_future(app.ask(heard.prompt, heard))
    await asyncio.sleep(after_s)
    await app.socket.send_json({"type": "cancel"})
    await asking


@pytest.mark.model
async def test_many_users_of_a_real_model(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """Each user's grammar lets the model say nothing but their own name."""

    async def talk(app: App, name: str, chance: random.Random) -> Heard:
        grammar = f'root ::= "{name}" (" {name}"){{1,{chance.randint(1, 8)}}}'
        heard = Heard(f"What is my name? {chance.random()}")
        options = {"grammar": grammar, "sampling": {"max_tokens": 64}}
        await app.ask(heard.prompt, heard, options)
        assert set(heard.text.split()) == {name}, heard
        return heard

    data = tmp_path / "center" / "data"
    subprocess.run([JOTA, "models", "pull", "starter", "--data", data], check=True, timeout=900)
    real = {"plugins.llm": "{plugin: jota_llama, context: 1024, parallel: 4}"}
    with linked(tmp_path, **real) as link:
        ends = await everybody(http, link, REAL_USERS, talk)
        assert len(ends) > REAL_USERS
        assert {end["outcome"] for end in ends} == {"complete"}
