"""Tables of who may do what, and of how each client likes it. The store's own are in `tables`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    true,
)

from .tables import metadata

services = Table(
    "services",
    metadata,
    Column("id", String, primary_key=True),
    Column("role", String, nullable=False),  # service, node or admin
    Column("key_hash", String, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    Column("max_sessions", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Index("services_by_key", "key_hash", unique=True),
)

client_configs = Table(
    "client_configs",
    metadata,
    Column("client_id", ForeignKey("clients.id", ondelete="CASCADE"), primary_key=True),
    Column("stt_language", String, nullable=False),
    Column("stt_model", String),
    Column("stt_vad_thold", Float, nullable=False),
    Column("tts_voice", String, nullable=False),
    Column("tts_speed", Float, nullable=False),
    Column("preferred_model_id", String),
    Column("system_prompt_extra", Text),
    Column("barge_in_enabled", Boolean, nullable=False),
    Column("barge_in_min_chars", Integer, nullable=False),
    Column("conversation_memory_limit", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)
