"""`/turns`: what another Jota needs of a memory. Ours only; `GET /health` tells the feature `turns`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal
from zlib import crc32

from pydantic import BaseModel, Field

from jota_core.api import Conversation, Outcome, StoredMessage, TurnRecord, TurnResult, TurnStats

from ..people.configs import config_of
from .fields import Body, Limit, Line, Page, Text
from .routes import Call, Route

Id = Annotated[str, Field(pattern=r"^[0-9A-Za-z:_-]{1,64}$")]


class Open(Body):
    """Which conversation goes on: the one named, the latest, or a new one."""

    conversation_id: Annotated[int, Field(ge=0, le=10**18)] | None = None
    new: bool = False


class Begin(Body):
    """A user's message; the ids are the caller's, so that it can tell the same again."""

    content: Text
    message_id: Id
    answer_id: Id
    instance: Line | None = None
    """Which run of which host begins it; see `left`."""


class Checkpoint(Begin):
    """An answer so far."""


class Left(Body):
    """Which run of a host is over."""

    instance: Line


class Stats(Body):
    """What a turn cost."""

    ttft_ms: float | None = None
    total_ms: float = 0.0
    tokens: int = 0
    prompt_tokens: int = 0
    reprocessed_tokens: int = 0
    tps: float | None = None
    backend: Line | None = None
    model: Line | None = None


class End(Begin):
    """The whole answer, and how it ended."""

    outcome: Literal["complete", "interrupted", "failed"]
    thought: Text = ""
    note: Text = ""
    error_code: Line | None = None
    stats: Stats = Stats()


class Model(Body):
    """The model of a conversation."""

    model_id: Line


class Newest(Page):
    """A page of messages, back from the newest one or from `before`."""

    limit: Limit = 50
    before: str | None = None


class Search(BaseModel):
    """Which words; each may be the beginning of one."""

    query: Annotated[str, Field(max_length=1000)]
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class Recall(Page):
    """How many messages."""

    limit: Annotated[int, Field(ge=0, le=1000)] = 50


async def open_(call: Call) -> Any:
    """See `MemoryStore.open_conversation`."""
    return conversation(
        await call.store.open_conversation(call.owner, call.body.conversation_id, new=call.body.new)
    )


async def begin(call: Call) -> Any:
    """See `MemoryStore.begin_turn`."""
    instance = call.body.instance
    host = _host(instance) if instance else None
    told = asdict(await call.store.begin(_record(call), call.body.content, host))
    del told["is_repeated"]  # the caller knows its own ids, and clients of before know no such member
    return told


async def left(call: Call) -> Any:
    """A run of a host is over: its turns that still run are marked as cut."""
    return {"cut": await call.store.left(_host(call.body.instance))}


async def delete(call: Call) -> None:
    """See `MemoryStore.delete_conversation`."""
    await call.store.delete_conversation(call.path["conversation_id"], call.owner)


def _host(instance: str) -> int:
    """A number for a host that is not ours: below zero, where none of our own is."""
    return -1 - (crc32(instance.encode()) & 0x7FFFFFFE)


async def checkpoint(call: Call) -> None:
    """See `MemoryStore.checkpoint`."""
    await call.store.checkpoint(_record(call), call.body.content)


async def finish(call: Call) -> None:
    """See `MemoryStore.finish_turn`."""
    body = call.body
    stats = TurnStats(**body.stats.model_dump())
    result = TurnResult(Outcome(body.outcome), body.content, body.thought, body.note, body.error_code, stats)
    await call.store.finish_turn(_record(call), result)


async def recall(call: Call) -> Any:
    """See `MemoryStore.recall`."""
    key, limit = call.path["conversation_id"], call.query.limit
    config = await call.store.read(lambda sql: config_of(sql, call.owner))
    if config is not None:
        limit = min(limit, config["conversation_memory_limit"])
    return [message(each) for each in await call.store.recall(key, call.owner, limit=limit)]


async def newest(call: Call) -> Any:
    """See `MemoryStore.list_messages`."""
    found = await call.store.list_messages(
        call.path["conversation_id"], call.owner, limit=call.query.limit, before=call.query.before
    )
    return [message(each) for each in found]


async def list_(call: Call) -> Any:
    """See `MemoryStore.list_conversations`."""
    found = await call.store.list_conversations(call.owner, limit=call.query.limit, offset=call.query.offset)
    return [conversation(each) for each in found]


async def search(call: Call) -> Any:
    """See `MemoryStore.search`."""
    found = await call.store.search(call.owner, call.query.query, limit=call.query.limit)
    return [message(each) for each in found]


async def set_model(call: Call) -> None:
    """See `MemoryStore.set_model`."""
    await call.store.set_model(call.path["conversation_id"], call.owner, call.body.model_id)


def conversation(fact: Conversation) -> dict[str, Any]:
    """A conversation as another Jota reads it."""
    return asdict(fact)


def message(fact: StoredMessage) -> dict[str, Any]:
    """A message as another Jota reads it."""
    return asdict(fact)


def _record(call: Call) -> TurnRecord:
    return TurnRecord(
        call.path["turn_id"],
        call.path["conversation_id"],
        call.owner,
        call.body.message_id,
        call.body.answer_id,
    )


_TURN = "/turns/{conversation_id}/{turn_id}"
ROUTES = [
    Route("POST", "/turns", open_, "Open a conversation", "owner", body=Open),
    Route("GET", "/turns", list_, "Conversations, latest first", "owner", Page),
    Route("GET", "/turns/{conversation_id}", recall, "Newest messages of finished turns", "owner", Recall),
    Route(
        "GET",
        "/turns/{conversation_id}/messages",
        newest,
        "Newest messages, unfinished ones too",
        "owner",
        Newest,
    ),
    Route(
        "PUT",
        "/turns/{conversation_id}/model",
        set_model,
        "Use another model",
        "owner",
        body=Model,
        status=204,
    ),
    Route("GET", "/turns/search", search, "Messages with all these words, newest first", "owner", Search),
    Route("POST", "/turns/left", left, "A run of a host is over", "service", body=Left),
    Route("DELETE", "/turns/{conversation_id}", delete, "Delete a conversation", "owner", status=204),
    Route("PUT", _TURN, begin, "Begin a turn; again changes nothing", "owner", body=Begin),
    Route("PATCH", _TURN, checkpoint, "Keep the answer so far", "owner", body=Checkpoint, status=204),
    Route("POST", _TURN, finish, "End a turn; again changes nothing", "owner", body=End, status=204),
]
