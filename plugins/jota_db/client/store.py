"""A memory store on another machine. While that is away, turns go on and their writes wait in the spool."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from jota_core.api import (
    Code,
    Conversation,
    MemoryStore,
    MemoryStoreError,
    Outcome,
    Record,
    StoredMessage,
    TurnRecord,
    TurnResult,
)

from ..rules import check_name, check_record, packed
from . import facts
from .replay import Replay
from .spool import Spool
from .wire import Away, Wire

MOST_KNOWN = 2000
TAIL = 64
"""Newest messages of a conversation that are known here, for turns while the server is away."""


class FarStore(MemoryStore):
    """Every method that names an owner is checked there."""

    def __init__(self, wire: Wire, spool: Spool, replay: Replay, spool_limit: int) -> None:
        self._wire = wire
        self._spool = spool
        self._replay = replay
        self._limit = spool_limit
        self._latest: OrderedDict[str, Conversation] = OrderedDict()
        self._tails: OrderedDict[int, list[StoredMessage]] = OrderedDict()
        self._questions: OrderedDict[str, str] = OrderedDict()

    @property
    def available(self) -> bool:
        """Whether a turn can begin, here or there."""
        return self._replay.is_direct or self._spool.count < self._limit

    async def open_conversation(
        self, owner: str, conversation_id: int | None = None, *, new: bool = False
    ) -> Conversation:
        """See `MemoryStore`; while the server is away, the one that was used last here."""
        known = self._latest.get(owner)
        serves = known is not None and not new and conversation_id in (None, known.id)
        if known is not None and serves and not self._replay.is_direct:
            return known
        body = {"conversation_id": conversation_id, "new": new}
        try:
            told = await self._ask("POST", "/turns", body, owner=owner, again=not new)
        except Away:
            if known is None or not serves:
                raise
            return known
        found = facts.conversation(told)
        _keep(self._latest, owner, found)
        return found

    async def begin_turn(self, turn_id: str, conversation_id: int, owner: str, text: str) -> TurnRecord:
        """See `MemoryStore`; while the server is away, nobody can tell whether the turn is a repeated one."""
        record = TurnRecord(turn_id, conversation_id, owner, facts.new_id(), facts.new_id())
        begun = await self._begun(record, text)
        if begun.answer_id != record.answer_id:  # not our own request that was told twice
            return replace(begun, is_repeated=True)
        _keep(self._questions, turn_id, text)
        return begun

    async def _begun(self, record: TurnRecord, text: str) -> TurnRecord:
        path, body = facts.path(record), {"content": text, "instance": self._spool.instance}
        body |= facts.ids(record)
        if self._replay.is_direct:
            try:
                return facts.record(await self._ask("PUT", path, body, owner=record.owner, again=True))
            except Away:
                pass  # into the spool
        await self._later("PUT", path, record.owner, body)
        return record

    async def checkpoint(self, record: TurnRecord, text: str) -> None:
        """See `MemoryStore`; in the spool the newest text takes the place of older ones."""
        body, path = {"content": text, **facts.ids(record)}, facts.path(record)
        if self._replay.is_direct:
            try:
                await self._ask("PATCH", path, body, owner=record.owner, again=True)
                return
            except Away:
                pass  # into the spool
        await self._later("PATCH", path, record.owner, body, slot=record.turn_id)

    async def finish_turn(self, record: TurnRecord, result: TurnResult) -> bool:
        """See `MemoryStore`."""
        stats = asdict(result.stats)
        body = {
            "content": result.text, "outcome": result.outcome.value, "thought": result.thought,
            "note": result.note, "error_code": result.error_code, "stats": stats, **facts.ids(record),
        }  # fmt: skip
        self._append(record, result)
        if self._replay.is_direct:
            try:
                await self._ask("POST", facts.path(record), body, owner=record.owner, again=True)
                return True
            except Away:
                pass  # into the spool
        await self._later("POST", facts.path(record), record.owner, body)
        return False

    async def recall(self, conversation_id: int, owner: str, *, limit: int) -> Sequence[StoredMessage]:
        """See `MemoryStore`; while the server is away, what is known here."""
        tail = self._tails.get(conversation_id)
        if not self._replay.is_direct and tail is not None:
            return tail[-limit:] if limit else ()
        try:
            told = await self._ask("GET", f"/turns/{conversation_id}", owner=owner, again=True, limit=limit)
        except Away:
            return (tail or [])[-limit:] if limit else ()
        found = [facts.message(each) for each in told]
        _keep(self._tails, conversation_id, found[-TAIL:])
        return found

    async def list_conversations(
        self, owner: str, *, limit: int = 50, offset: int = 0
    ) -> Sequence[Conversation]:
        """See `MemoryStore`."""
        told = await self._ask("GET", "/turns", owner=owner, again=True, limit=max(1, limit), offset=offset)
        return [facts.conversation(each) for each in told][:limit]

    async def list_messages(
        self, conversation_id: int, owner: str, *, limit: int = 50, before: str | None = None
    ) -> Sequence[StoredMessage]:
        """See `MemoryStore`."""
        path = f"/turns/{conversation_id}/messages"
        told = await self._ask("GET", path, owner=owner, again=True, limit=max(1, limit), before=before)
        return [facts.message(each) for each in told][-limit:] if limit else []

    async def search(self, owner: str, query: str, *, limit: int = 50) -> Sequence[StoredMessage]:
        """See `MemoryStore`."""
        asked = {"query": query, "limit": max(1, limit)}
        told = await self._ask("GET", "/turns/search", owner=owner, again=True, **asked)
        return [facts.message(each) for each in told][:limit]

    async def set_model(self, conversation_id: int, owner: str, model_id: str) -> None:
        """See `MemoryStore`."""
        path, body = f"/turns/{conversation_id}/model", {"model_id": model_id}
        await self._ask("PUT", path, body, owner=owner, again=True)

    async def delete_conversation(self, conversation_id: int, owner: str) -> None:
        """See `MemoryStore`."""
        await self._ask("DELETE", f"/turns/{conversation_id}", owner=owner)
        self._tails.pop(conversation_id, None)
        self._latest.pop(owner, None)

    async def records(self, collection: str) -> Sequence[Record]:
        """See `MemoryStore`."""
        check_name("collection", collection)
        told = await self._ask("GET", f"/records/{collection}", again=True)
        return [facts.record_kept(each) for each in told]

    async def save_record(
        self, collection: str, key: str, value: Mapping[str, Any] | None, *, version: int | None = None
    ) -> Record | None:
        """See `MemoryStore`."""
        check_record(collection, key, version)
        packed(value)
        body = {"value": None if value is None else dict(value), "version": version}
        told = await self._ask("PUT", f"/records/{collection}/{key}", body, again=True)
        return None if told is None else facts.record_kept(told)

    async def _ask(self, method: str, path: str, body: object = None, **more: Any) -> Any:
        try:
            return await self._wire.ask(method, path, body, **more)
        except Away as error:
            self._replay.lost(error.sentence)
            raise

    async def _later(self, method: str, path: str, owner: str, body: object, slot: str | None = None) -> None:
        """Into the spool. Raises `MemoryStoreError` when that is full."""
        if self._spool.count >= self._limit:
            sentence = f"JotaDB is away and {self._limit} writes wait already. Try again later."
            raise MemoryStoreError(Code.MEMORY_UNAVAILABLE, sentence, 10.0)
        await self._spool.put(method, path, owner, body, slot)
        self._replay.lost(self._replay.trouble or "JotaDB is away.")

    def _append(self, record: TurnRecord, result: TurnResult) -> None:
        """The turn is part of what is known here."""
        tail = self._tails.get(record.conversation_id)
        question = self._questions.pop(record.turn_id, None)
        if tail is None or question is None:
            return
        tail.append(facts.question(record, question, result.note))
        if result.text or result.outcome is Outcome.INTERRUPTED:
            tail.append(facts.answer(record, result))
        del tail[:-TAIL]


def _keep(known: OrderedDict[Any, Any], key: object, value: object) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > MOST_KNOWN:
        known.popitem(last=False)
