"""Tables that services share: their settings, where inference is offered, which models there are."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, String, Table, Text, true

from .tables import metadata

service_config = Table(
    "service_config",
    metadata,
    Column("service", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),  # JSON
    Column("description", Text),
    Column("updated_at", BigInteger, nullable=False),
)

providers = Table(
    "providers",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String, nullable=False),
    Column("type", String, nullable=False),
    Column("base_url", String),
    Column("api_key", String),
    Column("default_model_id", String),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    Column("extra_config", Text),  # JSON
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
)

models = Table(
    "models",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("description", Text),
    Column("context_window", Integer, nullable=False),
    Column("file_path", String),
    Column("gpu_layers", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
)
