"""Tasks, events and reminders: of the client that is named, else of the whole house."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import BaseModel, Field
from sqlalchemy import Table

from jota_core.api import Code, Refused

from ..sql.agenda import events, reminders, tasks
from ..sql.shelf import Entry, Shelf
from ..sql.statement import Sql
from .fields import Body, Line, Moment, Page, Patch, Text, told
from .routes import Call, Route

Id = Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
State = Literal["pending", "doing", "done"]
Timing = Literal["before", "during", "after"]
Priority = Annotated[int, Field(ge=1, le=5)]
NOW = datetime(2000, 1, 1, tzinfo=UTC)
"""Never used: a change holds only what was sent."""


class NewTask(Body):
    """Something to do."""

    title: Line
    status: State = "pending"
    priority: Priority = 1
    event_id: Id | None = None
    timing_relative_to_event: Timing | None = None


class ChangedTask(Patch):
    """Some members."""

    title: Line = "task"
    status: State = "pending"
    priority: Priority = 1
    event_id: Id | None = None
    timing_relative_to_event: Timing | None = None


class NewEvent(Body):
    """Something that takes place."""

    title: Line
    start_at: Moment
    end_at: Moment | None = None
    description: Text | None = None
    all_day: bool = False
    location: Line | None = None


class ChangedEvent(Patch):
    """Some members."""

    title: Line = "event"
    start_at: Moment = NOW
    end_at: Moment | None = None
    description: Text | None = None
    all_day: bool = False
    location: Line | None = None


class NewReminder(Body):
    """Something to be told at a time."""

    message: Text
    trigger_at: Moment
    is_completed: bool = False
    task_id: Id | None = None
    event_id: Id | None = None


class ChangedReminder(Patch):
    """Some members; another time lets it fire again."""

    message: Text = ""
    trigger_at: Moment = NOW
    is_completed: bool = False
    task_id: Id | None = None
    event_id: Id | None = None


class Tasks(Page):
    """Which tasks."""

    status_filter: State | None = None
    priority: Priority | None = None
    event_id: Id | None = None


@dataclass(frozen=True)
class Book:
    """One kind of entries."""

    table: Table
    name: str
    links: Mapping[str, Table]

    @property
    def shelf(self) -> Shelf:
        """Its rows."""
        return Shelf(self.table)

    async def add(self, call: Call) -> Any:
        """A new one."""
        values, owner = call.body.model_dump(), call.owner or None

        def work(sql: Sql) -> Entry:
            self._check(sql, values, owner)
            return self.shelf.add(sql, id=str(uuid4()), client_id=owner, version=1, **values)

        return told(await call.store.change(work))

    async def all(self, call: Call) -> Any:
        """A page of them, newest first."""
        given = call.query.model_dump(exclude={"limit", "offset"}, exclude_none=True)
        where = {{"status_filter": "status"}.get(name, name): value for name, value in given.items()}
        where["client_id"] = call.owner or None
        limit, offset = call.query.limit, call.query.offset
        found = await call.store.read(
            lambda sql: self.shelf.many(sql, where, limit=limit, offset=offset, order="-created_at")
        )
        return [told(entry) for entry in found]

    async def one(self, call: Call) -> Any:
        """One of them."""
        return told(await call.store.read(lambda sql: self._own(sql, call)))

    async def change(self, call: Call) -> Any:
        """Some members of one."""
        values, version = call.body.given(), call.body.version
        if "trigger_at" in values:
            values["fired_at"] = None

        def work(sql: Sql) -> Entry:
            self._own(sql, call)
            self._check(sql, values, call.owner or None)
            entry = self.shelf.change(sql, call.path["id"], values, version)
            assert entry is not None
            return entry

        return told(await call.store.change(work))

    async def remove(self, call: Call) -> None:
        """Gone for good."""

        def work(sql: Sql) -> None:
            self._own(sql, call)
            self.shelf.remove(sql, call.path["id"])

        await call.store.change(work)

    def _own(self, sql: Sql, call: Call) -> Entry:
        entry = self.shelf.one(sql, id=call.path["id"], client_id=call.owner or None)
        if entry is None:
            raise Refused(Code.NOT_FOUND, f"{self.name.capitalize()} not found")
        return entry

    def _check(self, sql: Sql, values: Mapping[str, Any], owner: str | None) -> None:
        for member, table in self.links.items():
            wanted = values.get(member)
            if wanted is not None and Shelf(table).one(sql, id=wanted, client_id=owner) is None:
                raise Refused(Code.NOT_FOUND, f"{member} {wanted} not found")


def _routes(book: Book, new: type[Body], changed: type[Patch], page: type[BaseModel]) -> list[Route]:
    path, item, name = f"/{book.name}s", f"/{book.name}s/{{id}}", book.name
    return [
        Route("POST", path, book.add, f"Add: {name}", body=new, status=201),
        Route("GET", path, book.all, f"List: {name}s, newest first", query=page),
        Route("GET", item, book.one, f"One {name}"),
        Route("PATCH", item, book.change, f"Change: {name}", body=changed),
        Route("DELETE", item, book.remove, f"Remove: {name}", status=204),
    ]


_LINKS = {"task_id": tasks, "event_id": events}
ROUTES = [
    *_routes(Book(tasks, "task", {"event_id": events}), NewTask, ChangedTask, Tasks),
    *_routes(Book(events, "event", {}), NewEvent, ChangedEvent, Page),
    *_routes(Book(reminders, "reminder", _LINKS), NewReminder, ChangedReminder, Page),
]
