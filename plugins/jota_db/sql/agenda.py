"""Tables of what people have to do, and when; a row without a client is the whole house's."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, text

from .tables import metadata


def _own() -> tuple[Column[str], Column[str | None]]:
    owner = ForeignKey("clients.id", ondelete="CASCADE")
    return Column("id", String(36), primary_key=True), Column("client_id", String, owner, index=True)


def _dates() -> tuple[Column[int], Column[int], Column[int]]:
    return (
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("version", Integer, nullable=False, server_default="1"),
    )


events = Table(
    "events",
    metadata,
    *_own(),
    Column("title", String, nullable=False),
    Column("description", Text),
    Column("start_at", BigInteger, nullable=False),
    Column("end_at", BigInteger),
    Column("all_day", Boolean, nullable=False),
    Column("location", String),
    *_dates(),
)

tasks = Table(
    "tasks",
    metadata,
    *_own(),
    Column("title", String, nullable=False),
    Column("status", String, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("event_id", ForeignKey("events.id", ondelete="SET NULL")),
    Column("timing_relative_to_event", String),
    *_dates(),
)

reminders = Table(
    "reminders",
    metadata,
    *_own(),
    Column("message", Text, nullable=False),
    Column("trigger_at", BigInteger, nullable=False),
    Column("is_completed", Boolean, nullable=False),
    Column("task_id", ForeignKey("tasks.id", ondelete="CASCADE")),
    Column("event_id", ForeignKey("events.id", ondelete="CASCADE")),
    Column("fired_at", BigInteger),  # null until its time has come and somebody was told
    *_dates(),
    Index(
        "reminders_due",
        "trigger_at",
        sqlite_where=text("fired_at IS NULL"),
        postgresql_where=text("fired_at IS NULL"),
    ),
)
