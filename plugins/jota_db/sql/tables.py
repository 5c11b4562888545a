"""The tables. Times are microseconds since 1970 in UTC; order never depends on them.

One counter numbers turns and conversations' activity, so that a clock that jumps changes no order.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Sequence,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
    true,
)

metadata = MetaData()
Sequence("jota_numbers", metadata=metadata, data_type=BigInteger())
"""The one counter, where several hosts share it; SQLite's only host counts by itself."""
Sequence("jota_hosts", metadata=metadata)
Number = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit number; SQLite keeps rows in its order when it is called INTEGER."""

clients = Table(
    "clients",
    metadata,
    Column("id", String, primary_key=True),
    Column("type", String, nullable=False, server_default="CHAT"),
    Column("created_at", BigInteger, nullable=False),
    Column("name", String),
    Column("key_hash", String),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    Column("updated_at", BigInteger, nullable=False, server_default="0"),
    Column("version", Integer, nullable=False, server_default="1"),
    Index("clients_by_key", "key_hash", unique=True),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("client_id", ForeignKey("clients.id", ondelete="CASCADE"), nullable=False),
    Column("title", String),
    Column("status", String, nullable=False, server_default="active"),
    Column("model_id", String),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("activity", Number, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("provider_id", Integer),
    UniqueConstraint("id", "client_id", name="conversations_owner"),
    Index("conversations_latest", "client_id", "activity"),
    sqlite_autoincrement=True,  # the id of a deleted conversation is never given out again
)

turns = Table(
    "turns",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False, unique=True),
    Column("conversation_id", Number, nullable=False),
    Column("client_id", String, nullable=False),
    Column("message_id", String, nullable=False),
    Column("answer_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("error_code", String),
    Column("stats", Text),  # JSON; null until finish_turn, also on turns that a restart has marked
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("host", Integer, nullable=False, server_default="0"),  # which of those that share the database
    # The tenant check of every write: a turn cannot exist in a conversation of another owner.
    ForeignKeyConstraint(
        ["conversation_id", "client_id"],
        ["conversations.id", "conversations.client_id"],
        ondelete="CASCADE",
    ),
    Index("turns_of_conversation", "conversation_id", "seq"),
    Index(
        "turns_running",
        "seq",
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
)

messages = Table(
    "messages",
    metadata,
    Column("turn_seq", ForeignKey("turns.seq", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("id", String(36), nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("content", Text, nullable=False),
    Column("thought", Text, nullable=False, server_default=""),
    Column("ai_model_id", String),
    Column("extra_data", Text),
    Column("created_at", BigInteger, nullable=False),
)

QUESTION, ANSWER = 0, 1
"""Positions of the two messages of a turn."""
RUNNING = "running"
INTERRUPTED = "interrupted"
