"""`/admin`: clients and services, their keys, and the catalogue of models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from jota_core.api import Code, Refused

from ..people import registry
from ..people.registry import CLIENTS, SERVICES
from ..sql.shared import models
from ..sql.shelf import Entry, Shelf
from ..sql.statement import Sql
from . import services
from .auth import client_told, service_told
from .config import Wishes
from .fields import Body, Line, Patch, Text, told
from .gate import no
from .routes import Call, Route

MODELS = Shelf(models)
Key = Annotated[str, Field(min_length=8, max_length=512)]
Sessions = Annotated[int, Field(ge=1, le=10_000)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class NewClient(Body):
    """Without a key one is made, and shown once."""

    name: Line
    id: Line | None = None
    client_type: Literal["CHAT", "QUICK", "chat", "quick"] = "CHAT"
    client_key: Key | None = None


class ChangedClient(Patch):
    """Some members."""

    name: Line = "client"
    client_type: Literal["CHAT", "QUICK"] = "CHAT"
    is_active: bool = True


class NewService(Body):
    """Without a key one is made, and shown once."""

    id: Line
    role: Literal["service", "node", "admin"] = "service"
    api_key: Key | None = None
    max_sessions: Sessions = registry.MAX_SESSIONS


class ChangedService(Patch):
    """Some members."""

    is_active: bool = True
    max_sessions: Sessions = registry.MAX_SESSIONS


class ModelEntry(Body):
    """A model of the catalogue."""

    id: Line
    name: Line
    description: Text | None = None
    context_window: Count = 4096
    file_path: Line | None = None
    gpu_layers: Annotated[int, Field(ge=-1, le=10_000)] = -1


async def clients(call: Call) -> Any:
    """All clients, without their keys."""
    return [client_told(entry) for entry in await call.store.read(lambda sql: CLIENTS.many(sql, {}))]


async def client(call: Call) -> Any:
    """One client."""
    key = call.path["client_id"]
    return client_told(_there(await call.store.read(lambda sql: CLIENTS.one(sql, id=key)), "Client"))


async def add_client(call: Call) -> Any:
    """A new client, and its key."""
    body = call.body
    name, kind = body.id or body.name, body.client_type.upper()
    entry, key = await call.store.change(lambda sql: registry.add_client(sql, name, kind, body.client_key))
    call.changed(name)
    return client_told(entry) | {"client_key": key}


async def change_client(call: Call) -> Any:
    """Some members of a client."""
    given, key, version = call.body.given(), call.path["client_id"], call.body.version
    values = {{"client_type": "type"}.get(name, name): value for name, value in given.items()}
    entry = await call.store.change(lambda sql: CLIENTS.change(sql, key, values, version))
    call.changed(key)
    return client_told(_there(entry, "Client"))


async def rotate(call: Call) -> Any:
    """A new key in the place of the old one."""
    name = call.path.get("client_id") or call.path["service_id"]
    key = await call.store.change(lambda sql: registry.rotate(sql, name))
    call.changed(name)
    return {"id": name, "key": key}


async def revoke(call: Call) -> None:
    """The key is worth nothing any more."""
    name = call.path.get("client_id") or call.path["service_id"]
    await call.store.change(lambda sql: registry.revoke(sql, name))
    call.changed(name)


async def services_(call: Call) -> Any:
    """All services, without their keys."""
    return [service_told(entry) for entry in await call.store.read(lambda sql: SERVICES.many(sql, {}))]


async def service(call: Call) -> Any:
    """One service."""
    key = call.path["service_id"]
    return service_told(_there(await call.store.read(lambda sql: SERVICES.one(sql, id=key)), "Service"))


async def add_service(call: Call) -> Any:
    """A new service, and its key."""
    body = call.body

    def work(sql: Sql) -> tuple[Entry, str]:
        if SERVICES.one(sql, id=body.id) is not None:
            raise no(409, "Service ID already exists")
        return registry.add_service(sql, body.id, body.role, body.api_key, body.max_sessions)

    entry, key = await call.store.change(work)
    call.changed(body.id)
    return service_told(entry, key)


async def change_service(call: Call) -> Any:
    """Some members of a service."""
    values, key, version = call.body.given(), call.path["service_id"], call.body.version
    entry = await call.store.change(lambda sql: SERVICES.change(sql, key, values, version))
    call.changed(key)
    return service_told(_there(entry, "Service"))


async def put_model(call: Call) -> Any:
    """Add a model to the catalogue, or change it."""
    values = call.body.model_dump()

    def work(sql: Sql) -> Entry:
        return MODELS.change(sql, values["id"], values) or MODELS.add(sql, version=1, **values)

    return told(await call.store.change(work))


async def delete_model(call: Call) -> None:
    """Take a model out of the catalogue."""
    key = call.path["model_id"]
    if not await call.store.change(lambda sql: MODELS.remove(sql, key)):
        raise Refused(Code.NOT_FOUND, f"AI model {key!r} not found")


def _there(entry: Entry | None, what: str) -> Entry:
    if entry is None:
        raise Refused(Code.NOT_FOUND, f"{what} not found")
    return entry


_CLIENT, _SERVICE = "/admin/clients/{client_id}", "/admin/services/{service_id}"
ROUTES = [
    Route("GET", "/admin/clients", clients, "All clients", "admin"),
    Route(
        "POST",
        "/admin/clients",
        add_client,
        "Add a client; its key is shown once",
        "admin",
        body=NewClient,
        status=201,
    ),
    Route("GET", _CLIENT, client, "One client", "admin"),
    Route("PATCH", _CLIENT, change_client, "Change a client", "admin", body=ChangedClient),
    Route("DELETE", _CLIENT, revoke, "Revoke a client's key", "admin", status=204),
    Route("POST", f"{_CLIENT}/rotate", rotate, "A new key for a client", "admin"),
    Route("GET", f"{_CLIENT}/config", services.client_config, "A client's configuration", "admin"),
    Route("PUT", f"{_CLIENT}/config", services.put_client_config, "Change it", "admin", body=Wishes),
    Route("POST", f"{_CLIENT}/config/reset", services.reset_client_config, "As usual again", "admin"),
    Route("GET", "/admin/services", services_, "All services", "admin"),
    Route(
        "POST",
        "/admin/services",
        add_service,
        "Add a service; its key is shown once",
        "admin",
        body=NewService,
        status=201,
    ),
    Route("GET", _SERVICE, service, "One service", "admin"),
    Route("PATCH", _SERVICE, change_service, "Change a service", "admin", body=ChangedService),
    Route("DELETE", _SERVICE, revoke, "Revoke a service's key", "admin", status=204),
    Route("POST", f"{_SERVICE}/rotate", rotate, "A new key for a service", "admin"),
    Route(
        "PUT",
        "/admin/models",
        put_model,
        "Add a model to the catalogue, or change it",
        "admin",
        body=ModelEntry,
    ),
    Route(
        "DELETE",
        "/admin/models/{model_id}",
        delete_model,
        "Take a model out of the catalogue",
        "admin",
        status=204,
    ),
]
