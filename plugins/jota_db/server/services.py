"""What services share: their settings, and where inference is offered."""

from __future__ import annotations

from typing import Any, Literal

import orjson

from jota_core.api import Code, Refused

from ..people.registry import CLIENTS
from ..sql.shared import providers, service_config
from ..sql.shelf import Entry, Shelf
from ..sql.statement import Sql
from . import config
from .fields import Body, Json, JsonObject, Line, Patch, Text, told
from .routes import Call, Route

PROVIDERS, SETTINGS = Shelf(providers), Shelf(service_config)
Kind = Literal["local", "openai", "anthropic", "custom", "openai_compatible", "gemini"]


class Setting(Body):
    """A value of any kind."""

    value: Json
    description: Text | None = None


class NewProvider(Body):
    """Where inference is offered."""

    name: Line
    type: Kind
    base_url: Line | None = None
    api_key: Line | None = None
    default_model_id: Line | None = None
    is_active: bool = True
    extra_config: JsonObject | None = None


class ChangedProvider(Patch):
    """Some members."""

    name: Line = "provider"
    type: Kind = "local"
    base_url: Line | None = None
    api_key: Line | None = None
    default_model_id: Line | None = None
    is_active: bool = True
    extra_config: JsonObject | None = None


async def settings(call: Call) -> Any:
    """Settings of all services, or of one."""
    where = {name: value for name, value in call.path.items() if name in ("service", "key")}
    return [_setting(entry) for entry in await call.store.read(lambda sql: SETTINGS.many(sql, where))]


async def put_setting(call: Call) -> Any:
    """Set one."""
    key = (call.path["service"], call.path["key"])
    values = {"value": orjson.dumps(call.body.value).decode(), "description": call.body.description}

    def work(sql: Sql) -> Entry:
        changed = SETTINGS.change(sql, key, values)
        if changed is not None:
            return changed
        return SETTINGS.add(sql, service=key[0], key=key[1], **values)

    return _setting(await call.store.change(work))


async def delete_setting(call: Call) -> None:
    """Remove one."""
    key = (call.path["service"], call.path["key"])
    if not await call.store.change(lambda sql: SETTINGS.remove(sql, key)):
        raise Refused(Code.NOT_FOUND, "Config entry not found")


async def reset_settings(call: Call) -> Any:
    """Remove all of a service: what is usual then is the service's own affair."""

    def work(sql: Sql) -> None:
        for entry in SETTINGS.many(sql, {"service": call.path["service"]}):
            SETTINGS.remove(sql, (entry["service"], entry["key"]))

    await call.store.change(work)
    return []


async def active_providers(call: Call) -> Any:
    """Those in use."""
    return [_provider(entry) for entry in await _providers(call, {"is_active": True})]


async def all_providers(call: Call) -> Any:
    """All, without their keys."""
    return [_provider(entry) | {"api_key": None} for entry in await _providers(call, {})]


async def provider(call: Call) -> Any:
    """One of them."""
    number = call.path["number"]
    return _provider(_there(await call.store.read(lambda sql: PROVIDERS.one(sql, id=number))))


async def add_provider(call: Call) -> Any:
    """A new one."""
    values = _packed(call.body.model_dump())
    return _provider(await call.store.change(lambda sql: PROVIDERS.add(sql, version=1, **values)))


async def change_provider(call: Call) -> Any:
    """Some members of one."""
    values, number = _packed(call.body.given()), call.path["number"]
    version = call.body.version
    return _provider(
        _there(await call.store.change(lambda sql: PROVIDERS.change(sql, number, values, version)))
    )


async def retire_provider(call: Call) -> None:
    """Not in use any more."""
    number = call.path["number"]
    _there(await call.store.change(lambda sql: PROVIDERS.change(sql, number, {"is_active": False})))


async def client_config(call: Call) -> Any:
    """A client's configuration."""
    await check_client(call)
    call.owner = call.path["client_id"]
    return await config.mine(call)


async def put_client_config(call: Call) -> Any:
    """Change some of a client's configuration."""
    await check_client(call)
    return await config.changed(call, call.path["client_id"], call.body.root)


async def reset_client_config(call: Call) -> Any:
    """A client's configuration as usual again."""
    await check_client(call)
    call.owner = call.path["client_id"]
    return await config.reset(call)


async def check_client(call: Call) -> None:
    """Raises `not_found`."""
    client = call.path["client_id"]
    if await call.store.read(lambda sql: CLIENTS.one(sql, id=client)) is None:
        raise Refused(Code.NOT_FOUND, "Client not found")


async def _providers(call: Call, where: dict[str, Any]) -> list[Entry]:
    return await call.store.read(lambda sql: PROVIDERS.many(sql, where))


def _there(entry: Entry | None) -> Entry:
    if entry is None:
        raise Refused(Code.NOT_FOUND, "Provider not found")
    return entry


def _packed(values: dict[str, Any]) -> dict[str, Any]:
    extra = values.get("extra_config")
    return values | ({"extra_config": orjson.dumps(extra).decode()} if extra is not None else {})


def _provider(entry: Entry) -> dict[str, Any]:
    extra = entry["extra_config"]
    return told(entry) | {"extra_config": orjson.loads(extra) if extra else None}


def _setting(entry: Entry) -> dict[str, Any]:
    return told(entry) | {"value": orjson.loads(entry["value"])}


ROUTES = [
    Route("GET", "/internal/service-config", settings, "Settings of all services", "service"),
    Route("GET", "/internal/service-config/{service}", settings, "Settings of a service", "service"),
    Route("PUT", "/internal/service-config/{service}/{key}", put_setting, "Set one", "service", body=Setting),
    Route(
        "DELETE",
        "/internal/service-config/{service}/{key}",
        delete_setting,
        "Remove one",
        "service",
        status=204,
    ),
    Route("GET", "/internal/providers", active_providers, "Where inference is offered", "service"),
    Route("GET", "/internal/providers/{number}", provider, "One provider", "service"),
    Route("GET", "/internal/client-config/{client_id}", client_config, "A client's configuration", "service"),
    Route(
        "PUT",
        "/internal/client-config/{client_id}",
        put_client_config,
        "Change it",
        "service",
        body=config.Wishes,
    ),
    Route("GET", "/admin/config", settings, "Settings of all services", "admin"),
    Route("GET", "/admin/config/{service}", settings, "Settings of a service", "admin"),
    Route("PUT", "/admin/config/{service}/{key}", put_setting, "Set one", "admin", body=Setting),
    Route("DELETE", "/admin/config/{service}/{key}", delete_setting, "Remove one", "admin", status=204),
    Route("POST", "/admin/config/{service}/reset", reset_settings, "Remove all of a service", "admin"),
    Route("GET", "/admin/providers", all_providers, "All providers, without keys", "admin"),
    Route("POST", "/admin/providers", add_provider, "Add a provider", "admin", body=NewProvider, status=201),
    Route("GET", "/admin/providers/{number}", provider, "One provider", "admin"),
    Route("PATCH", "/admin/providers/{number}", change_provider, "Change it", "admin", body=ChangedProvider),
    Route("PUT", "/admin/providers/{number}", change_provider, "Change it", "admin", body=ChangedProvider),
    Route("DELETE", "/admin/providers/{number}", retire_provider, "Take it out of use", "admin", status=204),
]
