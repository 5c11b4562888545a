"""`kill -9` at any instant: what was acknowledged is there once, what ran is marked once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from jota_core.api import MemoryStore, Outcome, TurnRecord, TurnResult

KILLS = int(os.environ.get("JOTA_KILLS", "20"))
"""A stress run asks for more."""

CHILD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import running
from jota_core.api import Outcome, TurnResult

def tell(*words):
    sys.stdout.write(" ".join(words) + "\\n")
    sys.stdout.flush()

async def user(store, name, run):
    talk = await store.open_conversation(name)
    for number in range(10_000):
        turn = f"{run}-{name}-{number}"
        record = await store.begin_turn(turn, talk.id, name, f"q {turn}")
        tell("begun", name, turn)
        for step in range(1, 4):
            await store.checkpoint(record, f"a {turn} " + "word " * step)
            tell("kept", name, turn, str(step))
        outcome = Outcome.COMPLETE if number % 2 else Outcome.INTERRUPTED
        await store.finish_turn(record, TurnResult(outcome, f"a {turn} end"))
        tell("ended", name, turn, outcome.value)

async def main():
    async with running(Path(sys.argv[1])) as (_, store):
        tell("open")
        await asyncio.gather(*(user(store, f"u{n}", sys.argv[3]) for n in range(4)))
asyncio.run(main())
"""


def run_and_kill(folder: Path, run: int, after_s: float) -> list[list[str]]:
    """Let a child work for a while and kill it; returns what it had acknowledged."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(Path(__file__).parent), str(run)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    time.sleep(after_s)
    os.kill(child.pid, signal.SIGKILL)
    lines = child.stdout.read().splitlines(keepends=True)
    child.stdout.close()
    child.wait()
    return [line.split() for line in lines if line.endswith("\n")]


async def all_messages(store: MemoryStore) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name in (f"u{number}" for number in range(4)):
        for talk in await store.list_conversations(name):
            before = None
            while page := await store.list_messages(talk.id, name, limit=1000, before=before):
                before = page[0].id
                for message in page:
                    found.setdefault(message.turn_id, []).append(message)
    return found


def judge(told: list[list[str]], stored: dict[str, list[Any]], run: int) -> None:
    """Compare what the child acknowledged with what the store holds."""
    begun = {line[2] for line in told if line[0] == "begun"}
    ended = {line[2]: line[3] for line in told if line[0] == "ended"}
    kept = {line[2]: int(line[3]) for line in told if line[0] == "kept"}
    for turn in begun:
        assert [m.role for m in stored[turn]] == ["user", "assistant"], turn
        question, answer = stored[turn]
        assert question.content == f"q {turn}"
        assert answer.outcome is not None, f"{turn} still runs"
        if turn in ended:
            mark = " [INTERRUPTED]" if ended[turn] == "interrupted" else ""
            assert answer.content == f"a {turn} end{mark}"
        else:
            assert answer.content.count("[INTERRUPTED]") <= 1
            words = answer.content.count("word")
            assert words >= kept.get(turn, 0) or f"a {turn} end" in answer.content
    mine = {turn for turn in stored if turn.startswith(f"{run}-")}
    assert len(mine - begun) <= 4, "each user may have one turn that was stored and not yet told"
    assert all(m.outcome is not None for turn in mine for m in stored[turn] if m.role == "assistant")


async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, section: Any) -> None:
    luck = random.Random(4711)
    told: dict[int, list[list[str]]] = {}
    for run in range(KILLS):
        told[run] = run_and_kill(tmp_path, run, luck.uniform(0.0, 0.12))
        if run % 4 == 3:
            async with section(tmp_path) as (_, store):
                stored = await all_messages(store)
                for earlier, lines in told.items():
                    judge(lines, stored, earlier)
    assert sum(line[0] == "ended" for lines in told.values() for line in lines) > KILLS


async def test_a_cut_turn_takes_its_real_end_once(tmp_path: Path, section: Any) -> None:
    """As when an end that was spooled elsewhere is written again after a crash."""
    run_and_kill(tmp_path, 0, 0.05)
    async with section(tmp_path) as (_, store):
        talk = (await store.list_conversations("u0"))[0]
        question, answer = (await store.list_messages(talk.id, "u0"))[-2:]
        record = TurnRecord(question.turn_id, talk.id, "u0", question.id, answer.id)
        if answer.content.endswith("word [INTERRUPTED]"):
            for text in ("the whole answer", "another"):
                await store.finish_turn(record, TurnResult(Outcome.COMPLETE, text))
            assert (await store.recall(talk.id, "u0", limit=1))[0].content == "the whole answer"


async def test_a_second_start_marks_nothing_again(tmp_path: Path, section: Any) -> None:
    run_and_kill(tmp_path, 0, 0.05)
    seen = []
    for _ in range(3):
        started = time.monotonic()
        async with section(tmp_path) as (_, store):
            assert time.monotonic() - started < 2.0
            seen.append(await all_messages(store))
    assert seen[0] == seen[1] == seen[2]
