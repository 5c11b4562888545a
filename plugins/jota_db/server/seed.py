"""Paths of the first days: the bearer alone speaks for everybody, and users are named in the request."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from jota_core.api import Code, Refused

from ..sql import posting
from ..sql.shelf import Entry
from .chat import CONVERSATIONS, HIDDEN
from .fields import Body, Limit, Line, Text, told
from .routes import Call, Route

Number = Annotated[int, Field(ge=0, le=10**18)]
Status = Literal["active", "archived", "error", "closed", "completed"]


class Begin(Body):
    """A user by name, or a client by number."""

    user_id: Line | None = None
    client_id: Line | Number | None = None
    title: Line | None = None
    status: Status = "active"


class Which(BaseModel):
    """Whose conversations."""

    user_id: Line | None = None
    client_id: Line | None = None
    status: Status | None = None
    limit: Limit = 50


class Message(Body):
    """One message of a conversation."""

    conversation_id: Number
    role: Literal["user", "assistant", "system", "tool"]
    content: Text


class Session(Body):
    """Which session at the Inference Center answers; told back, never used."""

    inference_session_id: Line
    conversation_id: Number | None = None


class Change(Body):
    """Another status."""

    status: Status


async def begin(call: Call) -> Any:
    """A new conversation."""
    owner = call.body.user_id or call.body.client_id
    if owner is None:
        raise Refused(Code.INVALID_REQUEST, "Name whose conversation it is: `user_id` or `client_id`.")
    made = await call.store.open_conversation(str(owner), new=True)
    wishes = {"status": call.body.status} | ({"title": call.body.title} if call.body.title else {})
    entry = await call.store.change(lambda sql: CONVERSATIONS.change(sql, made.id, wishes))
    assert entry is not None
    return _told(entry)


async def list_(call: Call) -> Any:
    """A user's conversations, latest first."""
    owner = call.query.user_id or call.query.client_id
    if owner is None:
        raise Refused(Code.INVALID_REQUEST, "Name whose conversations: `user_id` or `client_id`.")
    where = {"client_id": owner} | ({"status": call.query.status} if call.query.status else {})
    found = await call.store.read(
        lambda sql: CONVERSATIONS.many(sql, where, limit=call.query.limit, order="-activity")
    )
    return [_told(entry) for entry in found]


async def change(call: Call) -> Any:
    """Another status."""
    number, wishes = call.path["number"], {"status": call.body.status}
    entry = await call.store.change(lambda sql: CONVERSATIONS.change(sql, number, wishes))
    return _told(_there(entry, number))


async def session(call: Call) -> Any:
    """Tell back which session answers."""
    number = call.path.get("number", call.body.conversation_id)
    if number is None:
        raise Refused(Code.INVALID_REQUEST, "Name the conversation: `conversation_id`.")
    return _told(await _found(call, number)) | {"inference_session_id": call.body.inference_session_id}


async def message(call: Call) -> Any:
    """Keep one message."""
    body = call.body
    owner = (await _found(call, body.conversation_id))["client_id"]
    entry = await call.store.change(
        lambda sql: posting.posted(
            sql, key=body.conversation_id, owner=owner, role=body.role, content=body.content,
            model=None, extra=None,
        )
    )  # fmt: skip
    call.store.forget_tail(body.conversation_id)
    return told(entry)


async def history(call: Call) -> Any:
    """All messages, oldest first."""
    number = call.path["number"]
    owner = (await _found(call, number))["client_id"]
    found = await call.store.read(
        lambda sql: posting.page(sql, key=number, owner=owner, limit=1000, latest=True)
    )
    return [told(entry) for entry in found]


async def _found(call: Call, number: int) -> Entry:
    return _there(await call.store.read(lambda sql: CONVERSATIONS.one(sql, id=number)), number)


def _there(entry: Entry | None, number: int) -> Entry:
    if entry is None:
        raise Refused(Code.NOT_FOUND, f"Conversation {number} not found")
    return entry


def _told(entry: Entry) -> dict[str, Any]:
    return told(entry, *HIDDEN) | {"user_id": entry["client_id"], "inference_session_id": None}


ROUTES = [
    Route("GET", "/chat/conversation", list_, "First days: conversations of a user", query=Which),
    Route("POST", "/chat/conversation", begin, "First days: begin a conversation", body=Begin, status=201),
    Route("PATCH", "/chat/conversation/{number}", change, "First days: another status", body=Change),
    Route(
        "PATCH", "/chat/conversation/{number}/session", session, "First days: note a session", body=Session
    ),
    Route("PATCH", "/chat/session", session, "First days: note a session", body=Session),
    Route("POST", "/chat/message", message, "First days: keep one message", body=Message, status=201),
    Route("GET", "/chat/history/{number}", history, "First days: messages, oldest first"),
]
