"""Units of write work: how many are done at once, and how one is done alone when that failed.

Each kind has a fast way, which relies on what this process knows (it is the file's only writer) and on
the tables' constraints, and a careful way, which looks first and explains.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jota_core.api import Code, MemoryStoreError, TurnRecord

from . import rows
from . import statements as s
from .rows import OpenTurn
from .searching import keep_words, keep_words_of
from .statement import Row, Sql


def no_such_conversation(conversation_id: int) -> MemoryStoreError:
    """The one sentence for a conversation that is not there and for one of another owner."""
    return MemoryStoreError(Code.NOT_FOUND, f"There is no conversation {conversation_id}.")


class Work(ABC):
    """One write."""

    __slots__ = ()
    given_up_with_caller: ClassVar[bool] = False
    """Whether it is left out when its caller was cancelled before it began."""

    @property
    def rank(self) -> tuple[str, ...]:
        """Place among others of its kind in a batch: hosts that lock the same rows lock them in one order."""
        return ()

    @abstractmethod
    def alone(self, sql: Sql) -> Any:
        """Do it inside a savepoint. Raises `MemoryStoreError` or what the driver raises."""

    @classmethod
    def together(cls, sql: Sql, works: Sequence[Any]) -> list[Any]:
        """Do several; any error undoes the whole batch, and each is then done alone."""
        order = sorted(range(len(works)), key=lambda place: works[place].rank)
        done = {place: works[place].alone(sql) for place in order}
        return [done[place] for place in range(len(works))]


@dataclass(frozen=True, slots=True)
class Call(Work):
    """Anything rare."""

    function: Callable[[Sql], Any]
    after: Callable[[Any], None] = lambda _: None
    """Called with the result once it is on the disk, even when nobody waits for it any more."""

    def alone(self, sql: Sql) -> Any:
        """Call it."""
        return self.function(sql)


@dataclass(frozen=True, slots=True)
class Begin(Work):
    """A new turn with the user's message; results in the `OpenTurn`, or the record of one that exists."""

    record: TurnRecord
    text: str
    host: int
    given_up_with_caller: ClassVar[bool] = True

    @classmethod
    def together(cls, sql: Sql, works: Sequence[Begin]) -> list[Any]:
        """Constraints refuse foreign conversations and repeated turns."""
        begun = [
            rows.opened(work.record, work.text, seq=seq, host=work.host)
            for work, seq in zip(works, sql.numbers(len(works)), strict=True)
        ]
        # By id, so that two hosts that are given the same turns do not wait for each other in a circle.
        sql.insert(s.ADD_TURNS, sorted((turn.turn for turn in begun), key=lambda row: str(row["id"])))
        sql.insert(s.ADD_MESSAGES, [turn.message for turn in begun])
        touch(sql, {work.record.conversation_id for work in works}, begun[-1].turn["started_at"])
        return begun

    def alone(self, sql: Sql) -> OpenTurn | TurnRecord:
        """Raises `not_found` for a foreign conversation, `invalid_request` for a foreign turn id."""
        key = self.record.conversation_id
        if sql.first(s.CONVERSATION_NAMED, {"conversation_id": key, "owner": self.record.owner}) is None:
            raise no_such_conversation(key)
        begun = self._existing(sql) or self._added(sql) or self._existing(sql)
        if begun is None:
            raise no_such_conversation(key)
        return begun

    def _existing(self, sql: Sql) -> TurnRecord | None:
        record = self.record
        found = sql.first(s.TURN, {"turn_id": record.turn_id})
        if found is None:
            return None
        _, conversation_id, owner, message_id, answer_id, _, _ = found
        if (conversation_id, owner) != (record.conversation_id, record.owner):
            raise MemoryStoreError(
                Code.INVALID_REQUEST, f"The turn id {record.turn_id} is taken by another conversation."
            )
        return TurnRecord(record.turn_id, conversation_id, owner, message_id, answer_id)

    def _added(self, sql: Sql) -> OpenTurn | None:
        """None when another host was quicker by a moment."""
        begun = rows.opened(self.record, self.text, seq=sql.numbers(1)[0], host=self.host)
        if not sql.change(s.ADD_TURN_ONCE, begun.turn):
            return None
        sql.insert(s.ADD_MESSAGES, [begun.message])
        touch(sql, {self.record.conversation_id}, begun.turn["started_at"])
        return begun


@dataclass(frozen=True, slots=True)
class Keep(Work):
    """A checkpoint: the answer so far. Nothing happens when the turn is over or gone."""

    turn_id: str
    answer: Row

    @classmethod
    def together(cls, sql: Sql, works: Sequence[Keep]) -> list[Any]:
        """The newest text of each turn."""
        newest = {work.turn_id: work.answer for work in works}
        sql.insert(s.WRITE_ANSWERS, list(newest.values()))
        return [None] * len(works)

    def alone(self, sql: Sql) -> None:
        """Only while the turn runs."""
        found = sql.first(s.TURN, {"turn_id": self.turn_id})
        if found is not None and found[-1] is None:
            sql.insert(s.WRITE_ANSWERS, [self.answer])


@dataclass(frozen=True, slots=True)
class Finish(Work):
    """The end of a turn that this process has begun; results in True."""

    opened: OpenTurn
    turn: Row
    answer: Row | None

    @classmethod
    def together(cls, sql: Sql, works: Sequence[Finish]) -> list[Any]:
        """Every turn here runs: the store lets each be finished once."""
        sql.insert(s.END_TURNS, [work.turn for work in works])
        sql.insert(s.WRITE_ANSWERS, [work.answer for work in works if work.answer is not None])
        for work in works:
            if work.answer is None:
                sql.change(s.DROP_ANSWER, {"seq": work.turn["seq"]})
        keep_words(sql, [place for work in works for place in work.texts()])
        ids = {work.turn["conversation_id"] for work in works}
        touch(sql, ids, works[-1].turn["finished_at"])
        return [True] * len(works)

    def texts(self) -> Iterator[tuple[int, int, str, str]]:
        """What is searched for: number of the turn, position, owner, text."""
        owner = self.turn["client_id"]
        for row in (self.opened.message, self.answer):
            if row is not None and row["content"]:
                yield row["turn_seq"], row["position"], owner, row["content"]

    def alone(self, sql: Sql) -> bool:
        """False when the turn was finished before. Raises `not_found` when it is gone or foreign."""
        turn, answer = self.turn, self.answer
        found = sql.first(s.TURN, {"turn_id": turn["id"]})
        if found is None or (found[1], found[2]) != (turn["conversation_id"], turn["client_id"]):
            raise no_such_conversation(turn["conversation_id"])
        seq, _, _, message_id, answer_id, started_at, stats = found
        if stats is not None:
            return False
        kept = {"seq": seq, "message_id": message_id, "answer_id": answer_id, "started_at": started_at}
        if answer is not None:
            answer = {**answer, "turn_seq": seq, "id": answer_id}
        self.together(sql, [Finish(self.opened, {**turn, **kept}, answer)])
        keep_words_of(sql, [seq])  # the question may be known to the tables only
        return True


def touch(sql: Sql, ids: set[int], now: int) -> None:
    """Move conversations to the front; the list is filled up so that few statements are prepared."""
    for start in range(0, len(ids), 64):
        part = list(ids)[start : start + 64]
        size = 1 << (len(part) - 1).bit_length()
        part += [part[-1]] * (size - len(part))
        sql.change(s.touch(size), {"now": now, **{f"id{at}": key for at, key in enumerate(part)}})
