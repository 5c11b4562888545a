"""Random histories, on the store and on a model of its contract that is easy to believe."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from benchmarks.postgres import PostgresServer
from jota_core.api import Code, MemoryStoreError, Outcome, TurnRecord, TurnResult

OWNERS = st.sampled_from(["ana", "ben"])
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
RESULTS = st.builds(
    TurnResult,
    outcome=st.sampled_from([Outcome.COMPLETE, Outcome.INTERRUPTED]),
    text=TEXTS.filter(bool), thought=TEXTS, note=TEXTS,
)  # fmt: skip


@dataclass
class Turn:
    record: TurnRecord
    question: str
    answer: str = ""
    note: str = ""
    outcome: Outcome | None = None
    settled: bool = False
    """Finished by a call; a turn that a restart marked is not."""


@dataclass
class Talk:
    owner: str
    activity: int
    turns: list[Turn] = field(default_factory=list)
    model: str | None = None


def marked(outcome: Outcome | None, text: str) -> str:
    if outcome is not Outcome.INTERRUPTED:
        return text
    return f"{text} [INTERRUPTED]" if text else "[INTERRUPTED]"


class Histories(RuleBasedStateMachine):
    running_section: Any
    new_store: Callable[[], str]
    talks_made = Bundle("talks")
    turns_begun = Bundle("turns")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.talks: dict[int, Talk] = {}
        self.count = 0
        self.url = type(self).new_store()
        self.start()

    def start(self) -> None:
        self.section = self.running_section(Path(self.folder.name), store=self.url)
        _, self.store = self.runner.run(self.section.__aenter__())

    def stop(self) -> None:
        self.runner.run(self.section.__aexit__(None, None, None))

    def teardown(self) -> None:
        self.stop()
        self.runner.close()
        self.folder.cleanup()

    def next(self) -> int:
        self.count += 1
        return self.count

    def latest(self, owner: str) -> list[int]:
        mine = [key for key, talk in self.talks.items() if talk.owner == owner]
        return sorted(mine, key=lambda key: -self.talks[key].activity)

    def refused(self, asked: Any) -> None:
        try:
            self.runner.run(asked)
        except MemoryStoreError as error:
            assert error.code is Code.NOT_FOUND
        else:
            raise AssertionError("It was not refused.")

    @rule(target=talks_made, owner=OWNERS, new=st.booleans())
    def open(self, owner: str, new: bool) -> int:
        known = self.latest(owner)
        talk = self.runner.run(self.store.open_conversation(owner, new=new))
        if known and not new:
            assert talk.id == known[0]
        else:
            assert talk.id not in self.talks
            self.talks[talk.id] = Talk(owner, self.next())
        return int(talk.id)

    @rule(target=turns_begun, key=talks_made, text=TEXTS, foreign=st.sampled_from([False] * 5 + [True]))
    def begin(self, key: int, text: str, foreign: bool) -> Any:
        talk = self.talks.get(key)
        owner = "somebody" if foreign or talk is None else talk.owner
        turn = f"turn-{self.next()}"
        asked = self.store.begin_turn(turn, key, owner, text)
        if talk is None or talk.owner != owner:
            self.refused(asked)
            return multiple()
        record = self.runner.run(asked)
        talk.turns.append(Turn(record, text))
        talk.activity = self.next()
        return record

    @rule(record=turns_begun)
    def begin_again(self, record: TurnRecord) -> None:
        asked = self.store.begin_turn(record.turn_id, record.conversation_id, record.owner, "else")
        if self.find(record) is None:
            return self.refused(asked)
        assert self.runner.run(asked) == replace(record, is_repeated=True)

    @rule(record=turns_begun, text=TEXTS)
    def checkpoint(self, record: TurnRecord, text: str) -> None:
        self.runner.run(self.store.checkpoint(record, text))
        turn = self.find(record)
        if turn is not None and turn.outcome is None and text:
            turn.answer = text

    @rule(record=turns_begun, result=RESULTS)
    def finish(self, record: TurnRecord, result: TurnResult) -> None:
        turn = self.find(record)
        asked = self.store.finish_turn(record, result)
        if turn is None:
            return self.refused(asked)
        self.runner.run(asked)
        if not turn.settled:
            turn.answer, turn.note, turn.outcome = result.text, result.note, result.outcome
            turn.settled = True

    @rule(key=consumes(talks_made), owner=OWNERS)
    def delete(self, key: int, owner: str) -> None:
        asked = self.store.delete_conversation(key, owner)
        if key not in self.talks or self.talks[key].owner != owner:
            return self.refused(asked)
        self.runner.run(asked)
        del self.talks[key]

    @rule()
    def restart(self) -> None:
        self.stop()
        for talk in self.talks.values():
            for turn in talk.turns:
                if turn.outcome is None:
                    turn.outcome = Outcome.INTERRUPTED
        self.start()

    def find(self, record: TurnRecord) -> Turn | None:
        talk = self.talks.get(record.conversation_id)
        return next((t for t in talk.turns if t.record == record), None) if talk else None

    def expected(self, talk: Talk, finished: bool) -> list[tuple[str, str, str]]:
        said = []
        for turn in talk.turns:
            if finished and turn.outcome is None:
                continue
            said.append((turn.record.user_message_id, turn.question, turn.note))
            answer = marked(turn.outcome, turn.answer)
            if answer:
                said.append((turn.record.answer_id, answer, ""))
        return said

    @invariant()
    def the_store_tells_what_the_model_tells(self) -> None:
        self.runner.run(self.compare())

    async def compare(self) -> None:
        for owner in ("ana", "ben"):
            assert [talk.id for talk in await self.store.list_conversations(owner)] == self.latest(owner)
        for key, talk in self.talks.items():
            for limit in (3, 100):
                recalled = await self.store.recall(key, talk.owner, limit=limit)
                assert [(m.id, m.content, m.note) for m in recalled] == self.expected(talk, True)[-limit:]
            listed = await self.store.list_messages(key, talk.owner, limit=100)
            assert [(m.id, m.content, m.note) for m in listed] == self.expected(talk, False)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_random_histories(section: Any, postgres: PostgresServer, database: str) -> None:
    """Both databases are held against the same model, with the same histories."""
    fresh = {
        "sqlite": lambda: "sqlite:///jota.db",
        "postgresql": lambda: postgres.create(f"model_{secrets.token_hex(8)}"),
    }
    Histories.running_section = staticmethod(section)
    Histories.new_store = staticmethod(fresh[database])
    machine = Histories.TestCase
    machine.settings = settings(
        max_examples=25, stateful_step_count=30, deadline=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    machine().runTest()
