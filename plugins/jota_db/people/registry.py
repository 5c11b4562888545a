"""Clients, services, nodes and admins: added, found by their keys, rotated, revoked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jota_core.api import Code, Refused

from ..sql.people import services
from ..sql.shelf import Entry, Shelf
from ..sql.statement import Sql
from ..sql.tables import clients
from .keys import Hasher, new_key

CLIENTS, SERVICES = Shelf(clients), Shelf(services)
CLIENT_TYPES = ("CHAT", "QUICK")
ROLES = ("service", "node", "admin")
MAX_SESSIONS = 64
LONGEST_ID = 128


@dataclass(frozen=True, slots=True)
class Identity:
    """Who holds a key."""

    id: str
    kind: str
    """`client`, `service`, `node` or `admin`."""
    is_active: bool
    entry: Entry


def add_client(sql: Sql, name: str, kind: str = "CHAT", key: str | None = None) -> tuple[Entry, str]:
    """A new client, named by its id, and its key, which is not shown again.

    An owner of conversations who had no key yet gets one. Raises `Refused` (`invalid_request`).
    """
    if kind not in CLIENT_TYPES:
        raise _wrong(f"{kind!r} is not a type of client; there are CHAT and QUICK.")
    _check_id(name)
    known = CLIENTS.one(sql, id=name)
    _check_free(sql, name)
    key = key or new_key()
    given = {"name": name, "type": kind, "key_hash": _free_hash(sql, key)}
    if known is None:
        return CLIENTS.add(sql, id=name, is_active=True, version=1, **given), key
    changed = CLIENTS.change(sql, name, {**given, "is_active": True})
    assert changed is not None
    return changed, key


def add_service(
    sql: Sql, name: str, role: str = "service", key: str | None = None, max_sessions: int = MAX_SESSIONS
) -> tuple[Entry, str]:
    """A new service, node or admin, and its key. Raises `Refused` (`invalid_request`)."""
    if role not in ROLES:
        raise _wrong(f"{role!r} is not a role; there are {', '.join(ROLES)}.")
    _check_id(name)
    _check_free(sql, name)
    key = key or new_key()
    hashed = _free_hash(sql, key)
    given = {"role": role, "key_hash": hashed, "is_active": True, "max_sessions": max_sessions, "version": 1}
    return SERVICES.add(sql, id=name, **given), key


def rotate(sql: Sql, name: str, key: str | None = None) -> str:
    """A new key in the place of the old one, which is worth nothing from now on. Raises `Refused`."""
    key = key or new_key()
    hashed = _free_hash(sql, key)
    for shelf in (CLIENTS, SERVICES):
        if shelf.change(sql, name, {"key_hash": hashed, "is_active": True}) is not None:
            return key
    raise Refused(Code.NOT_FOUND, f"There is nobody called {name!r}.")


def revoke(sql: Sql, name: str) -> None:
    """Their key is worth nothing until it is rotated; what they said is kept. Raises `Refused`."""
    changed = [shelf.change(sql, name, {"is_active": False}) for shelf in (CLIENTS, SERVICES)]
    if not any(changed):
        raise Refused(Code.NOT_FOUND, f"There is nobody called {name!r}.")


def holder(sql: Sql, key: str) -> Identity | None:
    """Who holds this key, active or not. The search is by its hash, so that its time tells nothing."""
    hasher = Hasher.known(sql)
    if hasher is None:
        return None
    hashed = hasher.of(key)
    if (found := CLIENTS.one(sql, key_hash=hashed)) is not None:
        return Identity(found["id"], "client", found["is_active"], found)
    if (found := SERVICES.one(sql, key_hash=hashed)) is not None:
        return Identity(found["id"], found["role"], found["is_active"], found)
    return None


def everybody(sql: Sql) -> list[Identity]:
    """All who have a key."""
    people = [Identity(e["id"], "client", e["is_active"], e) for e in CLIENTS.many(sql, {}) if e["key_hash"]]
    return people + [Identity(e["id"], e["role"], e["is_active"], e) for e in SERVICES.many(sql, {})]


def _free_hash(sql: Sql, key: str) -> str:
    if not 8 <= len(key) <= 512 or not key.isprintable():
        raise _wrong("A key has 8 to 512 printable characters.")
    hashed = Hasher.made(sql).of(key)
    taken: list[Any] = [CLIENTS.one(sql, key_hash=hashed), SERVICES.one(sql, key_hash=hashed)]
    if any(taken):
        raise _wrong("Somebody else has this key already. Choose another one.")
    return hashed


def _check_free(sql: Sql, name: str) -> None:
    client = CLIENTS.one(sql, id=name)
    if (client is not None and client["key_hash"]) or SERVICES.one(sql, id=name) is not None:
        raise _wrong(f"Somebody is called {name!r} already. Rotate that key, or choose another name.")


def _check_id(name: str) -> None:
    if not 0 < len(name) <= LONGEST_ID or not name.isprintable() or "/" in name or name != name.strip():
        raise _wrong(f"A name has 1 to {LONGEST_ID} printable characters and no slash.")


def _wrong(sentence: str) -> Refused:
    return Refused(Code.INVALID_REQUEST, sentence)
