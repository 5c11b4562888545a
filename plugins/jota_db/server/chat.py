"""`/chat`: conversations and their messages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from jota_core.api import Code, Refused

from ..sql import posting
from ..sql.shared import models, providers
from ..sql.shelf import Entry, Shelf
from ..sql.statement import Sql
from ..sql.tables import conversations
from .fields import Body, Json, JsonObject, Limit, Line, Page, Text, told
from .routes import Call, Route

CONVERSATIONS, MODELS, PROVIDERS = Shelf(conversations), Shelf(models), Shelf(providers)
Status = Literal["active", "archived", "error"]
HIDDEN = ("activity",)


class NewConversation(Body):
    """All of it may be left out."""

    title: Line | None = None
    model_id: Line | None = None
    provider_id: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None


class ChangedConversation(NewConversation):
    """Null leaves a member as it is, but `provider_id`, which it clears."""

    status: Status | None = None


class NewMessage(Body):
    """`extra_data` may be an object or the text of one; it comes back as text."""

    role: Literal["user", "assistant", "system", "tool"]
    content: Text
    ai_model_id: Line | None = None
    extra_data: Text | JsonObject | list[Json] | None = None


class Conversations(Page):
    """A page of conversations."""

    status_filter: Status | None = None


class Messages(Page):
    """`limit` gives the oldest, as in the public JotaDB, unless the newest are asked for."""

    limit: Limit = 100
    order: Literal["oldest", "latest"] = "oldest"
    latest: bool = False


async def list_models(call: Call) -> Any:
    """The catalogue."""
    hidden = ("created_at", "updated_at", "version")
    return [told(entry, *hidden) for entry in await call.store.read(lambda sql: MODELS.many(sql, {}))]


async def create(call: Call) -> Any:
    """A new conversation."""
    return told(await new_conversation(call, call.body.model_dump()), *HIDDEN)


async def new_conversation(call: Call, wishes: dict[str, Any]) -> Entry:
    """Made and furnished. Raises `not_found` for a provider that is none."""
    await call.store.read(lambda sql: _check_provider(sql, wishes))
    made = await call.store.open_conversation(call.owner, new=True)
    wished = {name: value for name, value in wishes.items() if value is not None}

    def furnish(sql: Sql) -> Entry | None:
        return CONVERSATIONS.change(sql, made.id, wished) if wished else CONVERSATIONS.one(sql, id=made.id)

    entry = await call.store.change(furnish)
    assert entry is not None
    return entry


async def list_(call: Call) -> Any:
    """A client's conversations, latest first."""
    return [told(entry, *HIDDEN) for entry in await conversations_of(call)]


async def conversations_of(call: Call) -> list[Entry]:
    """A page of them."""
    where = {"client_id": call.owner}
    if call.query.status_filter:
        where["status"] = call.query.status_filter
    limit, offset = call.query.limit, call.query.offset
    return await call.store.read(
        lambda sql: CONVERSATIONS.many(sql, where, limit=limit, offset=offset, order="-activity")
    )


async def one(call: Call) -> Any:
    """One conversation."""
    return told(await call.store.read(lambda sql: _own(sql, call)), *HIDDEN)


async def change(call: Call) -> Any:
    """Another title, model, status or provider."""
    given = call.body.model_dump(exclude_unset=True)
    wished = {name: value for name, value in given.items() if value is not None or name == "provider_id"}

    def work(sql: Sql) -> Entry:
        _own(sql, call)
        _check_provider(sql, wished)
        entry = CONVERSATIONS.change(sql, call.path["conversation_id"], wished)
        assert entry is not None
        return entry

    return told(await call.store.change(work), *HIDDEN)


async def delete(call: Call) -> None:
    """Remove a conversation for good."""
    await call.store.delete_conversation(call.path["conversation_id"], call.owner)


async def messages(call: Call) -> Any:
    """Messages, oldest first."""
    latest = call.query.latest or call.query.order == "latest"
    found = await call.store.read(
        lambda sql: posting.page(
            sql, key=call.path["conversation_id"], owner=call.owner, limit=call.query.limit, latest=latest
        )
    )
    return [told(entry) for entry in found]


async def post(call: Call) -> Any:
    """Keep one message."""
    body, extra = call.body, call.body.extra_data
    text = extra if isinstance(extra, str) or extra is None else orjson.dumps(extra).decode()
    key = call.path["conversation_id"]
    entry = await call.store.change(
        lambda sql: posting.posted(
            sql, key=key, owner=call.owner, role=body.role, content=body.content,
            model=body.ai_model_id, extra=text,
        )
    )  # fmt: skip
    call.store.forget_tail(key)
    return told(entry)


def _own(sql: Sql, call: Call) -> Entry:
    key = call.path["conversation_id"]
    entry = CONVERSATIONS.one(sql, id=key, client_id=call.owner)
    if entry is None:
        raise Refused(Code.NOT_FOUND, "Conversation not found")
    return entry


def _check_provider(sql: Sql, wishes: dict[str, Any]) -> None:
    wanted = wishes.get("provider_id")
    if wanted is not None and PROVIDERS.one(sql, id=wanted) is None:
        raise Refused(Code.NOT_FOUND, f"Provider {wanted} not found")


ROUTES = [
    Route("GET", "/chat/models", list_models, "Models of the catalogue", "caller"),
    Route(
        "POST",
        "/chat/conversations",
        create,
        "Begin a conversation",
        "client",
        body=NewConversation,
        status=201,
    ),
    Route("GET", "/chat/conversations", list_, "Conversations, latest first", "client", Conversations),
    Route("GET", "/chat/conversations/{conversation_id}", one, "One conversation", "client"),
    Route(
        "PATCH",
        "/chat/conversations/{conversation_id}",
        change,
        "Change a conversation",
        "client",
        body=ChangedConversation,
    ),
    Route(
        "DELETE",
        "/chat/conversations/{conversation_id}",
        delete,
        "Delete a conversation for good",
        "client",
        status=204,
    ),
    Route("GET", "/chat/{conversation_id}/messages", messages, "Messages, oldest first", "client", Messages),
    Route(
        "POST",
        "/chat/{conversation_id}/messages",
        post,
        "Keep one message",
        "client",
        body=NewMessage,
        status=201,
    ),
]
