"""`/auth`: whether a key is good, and whose it is."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from ..people.configs import made_config
from ..people.registry import Identity, holder
from .fields import told
from .gate import Guessed, no
from .routes import Call, Route


class Seed(BaseModel):
    """How clients of the first days show a key: in the address."""

    client_key: str | None = None
    client_id: str | None = None
    api_key: str | None = None


async def client(call: Call) -> Any:
    """The client that holds a key."""
    return _client_told(await _held(call, call.query.client_key), call)


async def session(call: Call) -> Any:
    """The client that holds a key, and its configuration, made if there is none."""
    identity = await _held(call, None)
    config = await call.store.change(lambda sql: made_config(sql, identity.id))
    return {"client": _client_told(identity, call), "config": told(config)}


async def internal(call: Call) -> Any:
    """The service that holds a key."""
    key = call.key or call.query.api_key or ""
    identity = await call.store.read(lambda sql: holder(sql, key))
    if identity is None or identity.kind == "client":
        raise Guessed(401, "Invalid API Key")
    if not identity.is_active:
        raise no(403, "Client is inactive")
    if (call.service or call.query.client_id or identity.id) != identity.id:
        raise no(401, "Client not found")
    return service_told(identity.entry, key)


async def validate(call: Call) -> Any:
    """Whose key it is, of any kind."""
    identity = call.identity
    assert identity is not None
    return {"valid": True, "id": identity.id, "kind": identity.kind, "is_active": identity.is_active}


async def _held(call: Call, seed: str | None) -> Identity:
    key = call.key or seed or ""
    identity = await call.store.read(lambda sql: holder(sql, key)) if key else None
    if identity is None or identity.kind != "client":
        raise Guessed(401, "Client not found")
    if not identity.is_active:
        raise no(403, "Client is inactive")
    call.key = key
    return identity


def _client_told(identity: Identity, call: Call) -> dict[str, Any]:
    """The key is the one that was shown: no other is known."""
    return client_told(identity.entry) | {"client_key": call.key}


def client_told(entry: dict[str, Any]) -> dict[str, Any]:
    """A client as the public JotaDB writes one."""
    named = told(entry, "key_hash", "type")
    return named | {"name": entry["name"] or entry["id"], "client_type": entry["type"]}


def service_told(entry: dict[str, Any], key: str | None = None) -> dict[str, Any]:
    """A service; what a center may open is told in both places where centers look."""
    most = {"config": {"max_sessions": entry["max_sessions"]}}
    return told(entry, "key_hash") | most | ({"api_key": key} if key else {})


ROUTES = [
    Route("GET", "/auth/client", client, "The client that holds the key", "presented", Seed),
    Route(
        "GET", "/auth/session", session, "The client that holds the key, with its configuration", "presented"
    ),
    Route("GET", "/auth/internal", internal, "The service that holds the key", "presented", Seed),
    Route("GET", "/auth/validate", validate, "Whose key it is", "caller", for_others=True),
]
