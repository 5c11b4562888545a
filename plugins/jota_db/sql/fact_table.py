"""The table of long-term facts."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from .tables import metadata

facts = Table(
    "facts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("client_id", ForeignKey("clients.id", ondelete="CASCADE"), nullable=False),
    Column("text", Text, nullable=False),
    Column("state", String, nullable=False),  # active, or superseded by `replaced_by`
    Column("source_turn", String),
    Column("replaced_by", String(36)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Index("facts_of_client", "client_id", "state"),
)
