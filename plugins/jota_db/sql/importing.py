"""A database of the public JotaDB into ours: clients with their keys, wishes, conversations and messages.

Its tables are known by their columns, whatever they are called; keys are plain text there and hashes here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, MetaData, Table, select

from ..people import configs, registry
from ..people.configs import USUAL
from . import posting, rows
from . import statements as s
from .shelf import Shelf
from .statement import Sql
from .tables import clients, conversations

MARKS = {
    "clients": {"client_key", "client_type"},
    "services": {"api_key", "is_active", "id"},
    "configs": {"client_id", "stt_language"},
    "conversations": {"client_id", "title", "status"},
    "messages": {"conversation_id", "role", "content"},
}
"""Columns by which a table is known; a service's has no `base_url`, which is a provider's."""
STATUSES = ("active", "archived", "error")


@dataclass
class Found:
    """What was read, and how much of it was taken."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    """What was not taken, and why."""


def read_public(connection: Connection) -> Found:
    """Everything that is known there. Blocks; raises `LookupError` for another kind of database."""
    known = MetaData()
    known.reflect(connection)
    tables = {name: table for table in known.tables.values() if (name := _name_of(table))}
    if not {"clients", "conversations", "messages"} <= set(tables):
        raise LookupError("It has no tables of the public JotaDB.")
    return Found({name: list(_rows(connection, table)) for name, table in tables.items()})


def write_public(sql: Sql, found: Found) -> None:
    """Add it to the store, in the caller's transaction. A key that cannot be taken is left alone, and said.

    Raises `LookupError` when somebody's conversations are here already.
    """
    shelf = Shelf(conversations)
    for owner in {str(each["client_id"]) for each in found.tables["conversations"]}:
        if shelf.one(sql, client_id=owner) is not None:
            raise LookupError(f"The store has conversations of {owner!r} already. Nothing was imported.")
    for client in found.tables["clients"]:
        _take(found, "clients", client["id"], lambda c=client: _client(sql, c))
    for service in found.tables.get("services", []):
        _take(found, "services", service["id"], lambda s=service: _service(sql, s))
    for wishes in found.tables.get("configs", []):
        _take(found, "configs", wishes["client_id"], lambda w=wishes: _config(sql, w))
    numbers = {each["id"]: _conversation(sql, each) for each in found.tables["conversations"]}
    found.taken["conversations"] = len(numbers)
    for message in found.tables["messages"]:
        _message(sql, message, numbers)
        found.taken["messages"] = found.taken.get("messages", 0) + 1


def _take(found: Found, kind: str, name: str, take: Any) -> None:
    from jota_core.api import Refused

    try:
        take()
    except Refused as error:
        found.left.append(f"{kind[:-1]} {name}: {error.sentence}")
    else:
        found.taken[kind] = found.taken.get(kind, 0) + 1


def _client(sql: Sql, row: Mapping[str, Any]) -> None:
    entry, _ = registry.add_client(sql, str(row["id"]), _kind(row["client_type"]), row["client_key"])
    values = {"name": row.get("name") or str(row["id"]), "is_active": bool(row.get("is_active", True))}
    Shelf(clients).change(sql, entry["id"], values)


def _kind(told: object) -> str:
    name = str(getattr(told, "name", told)).upper()
    return name if name in registry.CLIENT_TYPES else "CHAT"


def _service(sql: Sql, row: Mapping[str, Any]) -> None:
    registry.add_service(sql, str(row["id"]), key=row["api_key"])
    if not row["is_active"]:
        registry.revoke(sql, str(row["id"]))


def _config(sql: Sql, row: Mapping[str, Any]) -> None:
    checked = configs.ClientConfig.model_construct(
        **{name: row.get(name, usual) for name, usual in USUAL.items()}
    )
    configs.changed_config(sql, str(row["client_id"]), checked.model_dump(warnings=False))


def _conversation(sql: Sql, row: Mapping[str, Any]) -> tuple[int, str]:
    owner, at = str(row["client_id"]), _moment(row.get("created_at"))
    sql.change(s.ADD_CLIENT, {"owner": owner, "now": at})
    given = {"owner": owner, "model": row.get("model_id"), "seq": sql.numbers(1)[0], "now": at}
    key = int(sql.first(s.ADD_CONVERSATION, given)[0])
    status = str(getattr(row["status"], "name", row["status"])).lower()
    values = {"title": row.get("title"), "status": status if status in STATUSES else "active"}
    Shelf(conversations).change(sql, key, values)
    return key, owner


def _message(sql: Sql, row: Mapping[str, Any], numbers: Mapping[Any, tuple[int, str]]) -> None:
    key, owner = numbers[row["conversation_id"]]
    role = str(getattr(row["role"], "name", row["role"])).lower()
    posting.posted(
        sql, key=key, owner=owner, role=role, content=rows.storable(row["content"] or ""),
        model=row.get("ai_model_id"), extra=row.get("extra_data"), at=_moment(row.get("created_at")),
    )  # fmt: skip


def _moment(told: object) -> int:
    """Times there are naive, in UTC."""
    if isinstance(told, str):
        told = datetime.fromisoformat(told)
    if not isinstance(told, datetime):
        return rows.now()
    return int((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp() * 1_000_000)


def _name_of(table: Table) -> str | None:
    columns = set(table.columns.keys())
    for name, marks in MARKS.items():
        if marks <= columns and not (name == "services" and columns & {"base_url", "client_key"}):
            return name
    return None


def _rows(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    order = [table.c[name] for name in ("created_at", "id") if name in table.c]
    for row in connection.execute(select(table).order_by(*order)):
        yield dict(row._mapping)
