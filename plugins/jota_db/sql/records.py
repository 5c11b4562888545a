"""Records of plugins: kept under a version, listed, forgotten.

Each write is one statement that looks at the version itself, so that of several hosts one is the first.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import orjson
from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert  # SQLite says the same

from jota_core.api import Code, MemoryStore, MemoryStoreError, Record

from ..rules import MOST, check_name, check_record, packed
from .record_table import records
from .rows import now
from .statement import Sql, Statement
from .work import Work

T = TypeVar("T")
FULL = "There are {most} records in {collection!r} already; forget some first."
r = records.c
KEPT = (r.key, r.value, r.version)
_COLLECTION = r.collection == bindparam("of", type_=r.collection.type)
_NAMED = (_COLLECTION, r.key == bindparam("named", type_=r.key.type))
_VERSION = r.version == bindparam("expected", type_=r.version.type)
_NEW = {
    "value": bindparam("text", type_=r.value.type),
    "updated_at": bindparam("at", type_=r.updated_at.type),
}
_into = upsert(records).values(collection=bindparam("of"), key=bindparam("named"), version=1, **_NEW)
_again = {**_NEW, "version": r.version + 1}

ALL = Statement(select(*KEPT).where(_COLLECTION))
ONE = Statement(select(*KEPT).where(*_NAMED))
COUNT = Statement(select(func.count()).select_from(records).where(_COLLECTION))
ADD = Statement(_into.on_conflict_do_nothing(index_elements=[r.collection, r.key]).returning(*KEPT))
ADD_OR_CHANGE = Statement(
    _into.on_conflict_do_update(index_elements=[r.collection, r.key], set_=_again).returning(*KEPT)
)
CHANGE = Statement(update(records).where(*_NAMED).values(_again).returning(*KEPT))
CHANGE_VERSION = Statement(update(records).where(*_NAMED, _VERSION).values(_again).returning(*KEPT))
FORGET = Statement(delete(records).where(*_NAMED))
FORGET_VERSION = Statement(delete(records).where(*_NAMED, _VERSION))


def all_of(sql: Sql, collection: str) -> list[Record]:
    """By key; sorted here, as each database has its own order of letters."""
    found = [_record(row) for row in sql.all(ALL, {"of": collection})]
    return sorted(found, key=lambda record: record.key)


@dataclass(frozen=True, slots=True)
class Save(Work):
    """One record kept or, without a text, forgotten; results in what is there now."""

    collection: str
    key: str
    text: str | None
    version: int | None

    @property
    def rank(self) -> tuple[str, ...]:
        """See `Work`."""
        return self.collection, self.key

    def alone(self, sql: Sql) -> Record | None:
        """Raises `invalid_request` when there is no room."""
        row = self._forget(sql) if self.text is None else self._keep(sql)
        return _record(row) if row is not None else None

    def _forget(self, sql: Sql) -> Any:
        sql.change(FORGET if self.version is None else FORGET_VERSION, self._given())
        return None if self.version is None else sql.first(ONE, self._given())

    def _keep(self, sql: Sql) -> Any:
        given = self._given()
        if self.version:
            return sql.first(CHANGE_VERSION, given) or sql.first(ONE, given)
        there = sql.first(CHANGE if self.version is None else ONE, given)
        if there is not None:
            return there
        self._check_room(sql)
        return sql.first(ADD_OR_CHANGE if self.version is None else ADD, given) or sql.first(ONE, given)

    def _check_room(self, sql: Sql) -> None:
        # Hosts that add in the same moment may both pass: the limit is against plugins that run wild.
        if sql.first(COUNT, {"of": self.collection})[0] >= MOST:
            raise MemoryStoreError(Code.INVALID_REQUEST, FULL.format(most=MOST, collection=self.collection))

    def _given(self) -> dict[str, Any]:
        given = {"of": self.collection, "named": self.key, "text": self.text, "at": now()}
        return {**given, "expected": self.version}


class RecordStore(MemoryStore):
    """The part of a store that keeps records."""

    @abstractmethod
    async def _write(self, work: Work) -> Any:
        """Wait until it is on the disk and return its result."""

    @abstractmethod
    async def read(self, query: Callable[[Sql], T]) -> T:
        """Ask something."""

    async def records(self, collection: str) -> Sequence[Record]:
        """See `MemoryStore`."""
        check_name("collection", collection)
        return await self.read(partial(all_of, collection=collection))

    async def save_record(
        self, collection: str, key: str, value: Mapping[str, Any] | None, *, version: int | None = None
    ) -> Record | None:
        """See `MemoryStore`."""
        check_record(collection, key, version)
        kept: Record | None = await self._write(Save(collection, key, packed(value), version))
        return kept


def _record(row: Any) -> Record:
    key, text, version = row
    return Record(key, orjson.loads(text), version)
