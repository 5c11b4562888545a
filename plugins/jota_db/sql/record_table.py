"""The table of records: what plugins keep."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text

from .tables import metadata

records = Table(
    "records",
    metadata,
    Column("collection", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("value", Text, nullable=False),  # JSON
    Column("updated_at", BigInteger, nullable=False),
)
