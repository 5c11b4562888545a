"""What memory and the backends have: conversations, messages, models."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jota_core.api import (
    Code,
    Conversation,
    ModelInfo,
    Refused,
    ReplyEvent,
    ReplySink,
    Sessions,
    StoredMessage,
)

from ..errors import json_response
from ..gate import Gate, conversation_of
from .body import ModelBody, read

MOST = 200
MATCHES = 5
LONGEST_QUERY = 1000
"""Entries of one page."""


class Silent(ReplySink):
    """For a session that asks nothing."""

    async def send(self, event: ReplyEvent) -> None:
        """Nobody listens."""


class LibraryRoutes:
    """Each names an owner; memory checks it."""

    def __init__(self, gate: Gate, sessions: Sessions) -> None:
        self._gate = gate
        self._sessions = sessions

    async def conversations(self, request: web.Request) -> web.Response:
        """An owner's conversations, latest first."""
        owner = await self._gate.principal(request)
        limit, offset = _number(request, "limit", 50, MOST), _number(request, "offset", 0, 10**9)
        if (query := request.query.get("query")) is not None:
            return await self._search(owner.id, query, limit)
        found = await self._sessions.memory.list_conversations(owner.id, limit=limit, offset=offset)
        return json_response({"status": "success", "conversations": [conversation(each) for each in found]})

    async def _search(self, owner: str, query: str, limit: int) -> web.Response:
        """Conversations with all words of the query, the one with the newest match first."""
        if len(query) > LONGEST_QUERY:
            raise Refused(Code.INVALID_REQUEST, f"A query has at most {LONGEST_QUERY} characters.")
        memory, found = self._sessions.memory, dict[int, list[StoredMessage]]()
        for each in await memory.search(owner, query, limit=MOST):
            found.setdefault(each.conversation_id, []).append(each)
        told = []
        for key, matches in list(found.items())[:limit]:
            fact = await memory.open_conversation(owner, key)
            told.append({**conversation(fact), "matches": [message(each) for each in matches[:MATCHES]]})
        return json_response({"status": "success", "conversations": told})

    async def messages(self, request: web.Request) -> web.Response:
        """The newest messages of a conversation, oldest first."""
        owner = await self._gate.principal(request)
        limit, before = _number(request, "limit", 50, MOST), request.query.get("before")
        found = await self._sessions.memory.list_messages(
            _named(request), owner.id, limit=limit, before=before
        )
        return json_response({"status": "success", "messages": [message(each) for each in found]})

    async def delete(self, request: web.Request) -> web.Response:
        """Remove a conversation for good."""
        owner = await self._gate.principal(request)
        await self._sessions.memory.delete_conversation(_named(request), owner.id)
        return json_response({"status": "success"})

    async def switch_model(self, request: web.Request) -> web.Response:
        """Use another model in a conversation from now on."""
        body = await read(request, ModelBody)
        owner = await self._gate.principal(request, body.user_id, body.client_key)
        session = await self._sessions.open(
            owner, Silent(), door=self._gate.section, conversation_id=_named(request)
        )
        try:
            await session.switch_model(body.model_id)
        finally:
            await session.close()
        return json_response({"status": "success", "model_id": body.model_id})

    async def models(self, request: web.Request) -> web.Response:
        """Every model that a backend offers."""
        await self._gate.principal(request)
        found = await self._sessions.models()
        return json_response({"status": "success", "models": [model(each) for each in found]})


def conversation(fact: Conversation) -> dict[str, Any]:
    """A conversation as apps see it."""
    return {
        "id": fact.id,
        "title": fact.title,
        "model_id": fact.model_id,
        "created_at": fact.created_at,
        "updated_at": fact.updated_at,
    }


def message(fact: StoredMessage) -> dict[str, Any]:
    """A message as apps see it; notes and thoughts stay inside."""
    return {
        "id": fact.id,
        "turn_id": fact.turn_id,
        "role": fact.role,
        "content": fact.content,
        "created_at": fact.created_at,
        "outcome": fact.outcome,
        "model_id": fact.model_id,
    }


def model(fact: ModelInfo) -> dict[str, Any]:
    """A model as apps see it."""
    return {
        "id": fact.id,
        "name": fact.name,
        "loaded": fact.loaded,
        "context_window": fact.context_window,
        "size_bytes": fact.size_bytes,
        "description": fact.description,
    }


def _named(request: web.Request) -> int:
    found = conversation_of(request.match_info["conversation_id"])
    assert found is not None
    return found


def _number(request: web.Request, name: str, usual: int, most: int) -> int:
    text = request.query.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise Refused(Code.INVALID_REQUEST, f"`{name}` is a number from 0 to {most}.")
    return min(int(text), most)
