"""The memory store: what to ask the writer and the readers, and what is known without asking."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from jota_core.api import (
    Conversation,
    Health,
    MemoryStoreError,
    StoredMessage,
    TurnRecord,
    TurnResult,
)

from ..tails import MOST_CHARACTERS, MOST_MESSAGES, Tails
from . import queries, rows
from .cut import end_turns
from .database import Database, OnClose
from .owed import NEVER_BEGUN, Owed, end_attempt
from .records import RecordStore
from .rows import OpenTurn
from .searching import search
from .statement import Sql
from .work import Begin, Call, Finish, Keep, Work
from .writer import Writer

T = TypeVar("T")
MOST_OPEN_TURNS = 50_000
MOST_FOUND = 200
MOST_ASKED = 1000
"""Rows of one answer."""
FORGET_AT_ONCE = 50
DAY_US = 86_400_000_000


class SqlStore(RecordStore):
    """One database. Every other owner's conversation is `not_found`; nothing is acknowledged undurable.

    Finishing a turn of a deleted conversation raises `not_found`; checkpointing one does nothing.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._writer = Writer(database, self._stored)
        self._open_turns: OrderedDict[str, OpenTurn] = OrderedDict()
        self._owed = Owed()
        self._tails = Tails(0 if database.is_shared else MOST_CHARACTERS)

    def start(self, on_close: OnClose) -> None:
        """Begin to write; what waits when it closes is written still."""
        self._writer.start()
        on_close(self._writer.close)

    @property
    def available(self) -> bool:
        """True: the section exists only while the database is open."""
        return True

    async def open_conversation(
        self, owner: str, conversation_id: int | None = None, *, new: bool = False
    ) -> Conversation:
        """See `MemoryStore`."""
        if conversation_id is not None:
            return await self.read(partial(queries.owned, key=conversation_id, owner=owner))
        found = None if new else await self.read(partial(queries.latest, owner=owner))
        return found or await self._begin_conversation(owner, new)

    async def _begin_conversation(self, owner: str, new: bool) -> Conversation:
        make = partial(queries.make, owner=owner, new=new)
        made: tuple[Conversation, bool] = await self._write(Call(make, self._conversation_made))
        return made[0]

    def _conversation_made(self, made: tuple[Conversation, bool]) -> None:
        conversation, fresh = made
        if fresh:
            self._tails.begin(conversation.id, conversation.owner)

    async def begin_turn(self, turn_id: str, conversation_id: int, owner: str, text: str) -> TurnRecord:
        """See `MemoryStore`. A turn id of another conversation is `invalid_request`."""
        ids = rows.message_id(), rows.message_id()
        return await self.begin(TurnRecord(turn_id, conversation_id, owner, *ids), text)

    async def begin(self, record: TurnRecord, text: str, host: int | None = None) -> TurnRecord:
        """As `begin_turn`, with message ids that the caller made, for a host that is not this one."""
        if host is not None:
            return await self._begin(record, Begin(record, text, host))
        record = self._owed.attempt(record)
        try:
            return await self._begin(record, Begin(record, text, self.database.host))
        except MemoryStoreError as error:
            self._owed.keep(error, record, NEVER_BEGUN)  # it may be on the disk: only the answer was lost
            raise

    async def _begin(self, record: TurnRecord, work: Begin) -> TurnRecord:
        known = self._open_turns.get(record.turn_id)
        place = (record.conversation_id, record.owner)
        if known is None or (known.record.conversation_id, known.record.owner) != place:
            known = await self._write(work)
        begun: TurnRecord = known.record if isinstance(known, OpenTurn) else known
        return begun if begun.answer_id == record.answer_id else replace(begun, is_repeated=True)

    async def checkpoint(self, record: TurnRecord, text: str) -> None:
        """See `MemoryStore`."""
        turn = self._open_turn(record)
        if turn is not None and text:
            await self._write(Keep(record.turn_id, rows.answer(turn, text)))

    def _open_turn(self, record: TurnRecord) -> OpenTurn | None:
        turn = self._open_turns.get(record.turn_id)
        asked = replace(record, is_repeated=False) if record.is_repeated else record
        return turn if turn is not None and turn.record == asked else None

    async def finish_turn(self, record: TurnRecord, result: TurnResult) -> bool:
        """See `MemoryStore`. A turn that a restart has marked takes its real end, once.

        An end that the database could not take is tried again by `settle`.
        """
        try:
            await self._finish(record, result)
        except MemoryStoreError as error:
            self._owed.keep(error, record, result)
            raise
        return True

    async def settle(self) -> None:
        """Write the ends that the database could not take. Raises `MemoryStoreError` when it still cannot."""
        await self._owed.settle(self._finish)

    async def _finish(self, record: TurnRecord, result: TurnResult) -> None:
        turn = self._open_turn(record)
        if turn is not None:
            del self._open_turns[record.turn_id]
            await self._write(_finish(turn, result))
        else:
            work = _finish(rows.opened(record, "", seq=0, host=self.database.host), result)
            end = partial(end_attempt, work=work) if result is NEVER_BEGUN else work.alone
            await self._write(Call(end, lambda _: self._tails.drop(record.conversation_id)))

    async def recall(self, conversation_id: int, owner: str, *, limit: int) -> Sequence[StoredMessage]:
        """See `MemoryStore`."""
        limit = max(0, min(limit, MOST_ASKED))
        known = self._tails.newest(conversation_id, owner, limit)
        return (
            known
            if known is not None
            else await self.recall_from_database(conversation_id, owner, limit=limit)
        )

    async def recall_from_database(
        self, conversation_id: int, owner: str, *, limit: int
    ) -> Sequence[StoredMessage]:
        """As `recall`, whatever is known without asking."""
        asked = limit if self.database.is_shared else max(limit, MOST_MESSAGES)
        token = self._tails.reading(conversation_id)
        try:
            found, last_seq = await self.read(
                partial(queries.recall, key=conversation_id, owner=owner, limit=asked)
            )
            self._tails.read(token, conversation_id, owner, found, last_seq, len(found) < asked)
        finally:
            self._tails.done_reading(token, conversation_id)
        return found[-limit:] if limit else ()

    async def list_conversations(
        self, owner: str, *, limit: int = 50, offset: int = 0
    ) -> Sequence[Conversation]:
        """See `MemoryStore`. At most 1000 at once."""
        limit = max(0, min(limit, MOST_ASKED))
        return await self.read(partial(queries.page, owner=owner, limit=limit, offset=max(0, offset)))

    async def list_messages(
        self, conversation_id: int, owner: str, *, limit: int = 50, before: str | None = None
    ) -> Sequence[StoredMessage]:
        """See `MemoryStore`. At most 1000 at once; an unknown `before` is `not_found`."""
        limit = max(0, min(limit, MOST_ASKED))
        return await self.read(
            partial(queries.messages, key=conversation_id, owner=owner, limit=limit, before=before)
        )

    async def left(self, host: int) -> int:
        """A host that is not this one is gone: mark its running turns. Returns how many they were."""
        for turn_id, turn in list(self._open_turns.items()):
            if turn.turn["host"] == host:
                del self._open_turns[turn_id]
                self._tails.drop(turn.record.conversation_id)
        return int(await self._write(Call(partial(end_turns, host=host))))

    def running_turn(self, owner: str) -> str | None:
        """The turn of an owner that began last and still runs here."""
        turns = (turn.record for turn in reversed(self._open_turns.values()) if turn.record.owner == owner)
        return next((record.turn_id for record in turns), None)

    def forget_tail(self, conversation_id: int) -> None:
        """A conversation got something that was no turn of ours."""
        self._tails.drop(conversation_id)

    async def search(self, owner: str, query: str, *, limit: int = 50) -> Sequence[StoredMessage]:
        """See `MemoryStore`. At most 200 at once."""
        limit = max(0, min(limit, MOST_FOUND))
        return await self.read(partial(search, owner=owner, query=query, limit=limit))

    async def set_model(self, conversation_id: int, owner: str, model_id: str) -> None:
        """See `MemoryStore`."""
        await self._write(Call(partial(queries.set_model, key=conversation_id, owner=owner, model=model_id)))

    async def delete_conversation(self, conversation_id: int, owner: str) -> None:
        """See `MemoryStore`. In SQLite its bytes are overwritten in the file."""
        delete = partial(queries.delete, key=conversation_id, owner=owner)
        await self._write(Call(delete, self._deleted))
        await self._emptied()

    async def forget_older_than(self, days: float) -> int:
        """Delete conversations that were not touched for `days`, a few at a time; returns how many."""
        gone = 0
        forget = partial(queries.forget, before=rows.now() - int(days * DAY_US), limit=FORGET_AT_ONCE)
        while ids := await self._write(Call(forget, self._deleted)):
            gone += len(ids)
        if gone:
            await self._emptied()
        return gone

    async def health(self) -> Health:
        """Cheap; counts come from an index."""
        if self._writer.trouble is not None and self.database.is_shared:
            await self._try_again()
        trouble = self._writer.trouble
        if trouble is not None:
            return Health(False, self.database.sentence(trouble))
        if self.database.warning:
            return Health(False, self.database.warning)
        try:
            count = await self.read(queries.count)
            with self.database.explained():
                size = await self.database.size()
        except MemoryStoreError as error:
            return Health(False, error.sentence)
        return Health(True, f"{self.database.name}: {count} conversations, {size / 1e6:.1f} MB.")

    async def _try_again(self) -> None:
        """Whether a server is back shows when it is asked; a full disk only when it is written to."""
        try:
            await self.change(lambda _: None)
        except MemoryStoreError:
            pass  # the writer knows what is wrong

    async def _emptied(self) -> None:
        with self.database.explained():
            await self.database.deleted()

    async def _write(self, work: Work) -> Any:
        """See `RecordStore`."""
        with self.database.explained():
            return await self._writer.write(work)

    async def change(self, work: Callable[[Sql], T]) -> T:
        """Do something rare in the next transaction. Raises what it raises, or `MemoryStoreError`."""
        result: T = await self._write(Call(work))
        return result

    async def read(self, query: Callable[[Sql], T]) -> T:
        """Ask something. Raises what it raises, or `MemoryStoreError`."""
        with self.database.explained():
            return await self.database.readers.run(query)

    def _stored(self, work: Work, result: Any) -> None:
        """Keep in mind what is on the disk now; called also when the caller is gone."""
        if isinstance(work, Begin):
            if isinstance(result, OpenTurn):
                self._open_turns[result.record.turn_id] = result
            if len(self._open_turns) > MOST_OPEN_TURNS:
                self._open_turns.popitem(last=False)
        elif isinstance(work, Finish):
            turn = work.turn
            both = rows.both_messages(turn, work.opened.message, work.answer)
            self._tails.append(turn["conversation_id"], turn["seq"], both)
        elif isinstance(work, Call):
            work.after(result)

    def _deleted(self, ids: Sequence[int]) -> None:
        gone = set(ids)
        for conversation_id in gone:
            self._tails.drop(conversation_id)
        for turn_id, turn in list(self._open_turns.items()):
            if turn.record.conversation_id in gone:
                del self._open_turns[turn_id]


def _finish(turn: OpenTurn, result: TurnResult) -> Finish:
    text = rows.marked(result)
    row = rows.answer(turn, text, result.thought, result.stats.model) if text else None
    return Finish(turn, rows.ended(turn, result), row)
