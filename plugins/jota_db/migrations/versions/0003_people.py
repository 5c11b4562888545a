"""Who may do what, how each client likes it, what services share, and what people have to do."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""
    _clients()
    _services()
    _configs()
    _shared()
    _agenda()


def _dates() -> list[sa.Column[Any]]:
    return [
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    ]


def _clients() -> None:
    op.add_column("clients", sa.Column("name", sa.String))
    op.add_column("clients", sa.Column("key_hash", sa.String))
    op.add_column("clients", sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("clients", sa.Column("updated_at", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("clients", sa.Column("version", sa.Integer, nullable=False, server_default="1"))
    op.create_index("clients_by_key", "clients", ["key_hash"], unique=True)
    op.add_column("conversations", sa.Column("provider_id", sa.Integer))


def _services() -> None:
    op.create_table(
        "services",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("key_hash", sa.String, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("max_sessions", sa.Integer, nullable=False),
        *_dates(),
    )
    op.create_index("services_by_key", "services", ["key_hash"], unique=True)
    op.create_table(
        "secrets",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
    )


def _configs() -> None:
    owner = sa.ForeignKey("clients.id", ondelete="CASCADE")
    op.create_table(
        "client_configs",
        sa.Column("client_id", sa.String, owner, primary_key=True),
        sa.Column("stt_language", sa.String, nullable=False),
        sa.Column("stt_model", sa.String),
        sa.Column("stt_vad_thold", sa.Float, nullable=False),
        sa.Column("tts_voice", sa.String, nullable=False),
        sa.Column("tts_speed", sa.Float, nullable=False),
        sa.Column("preferred_model_id", sa.String),
        sa.Column("system_prompt_extra", sa.Text),
        sa.Column("barge_in_enabled", sa.Boolean, nullable=False),
        sa.Column("barge_in_min_chars", sa.Integer, nullable=False),
        sa.Column("conversation_memory_limit", sa.Integer, nullable=False),
        *_dates(),
    )


def _shared() -> None:
    op.create_table(
        "service_config",
        sa.Column("service", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "providers",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("base_url", sa.String),
        sa.Column("api_key", sa.String),
        sa.Column("default_model_id", sa.String),
        sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("extra_config", sa.Text),
        *_dates(),
    )
    op.create_table(
        "models",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("context_window", sa.Integer, nullable=False),
        sa.Column("file_path", sa.String),
        sa.Column("gpu_layers", sa.Integer, nullable=False),
        *_dates(),
    )


def _own() -> list[sa.Column[Any]]:
    owner = sa.ForeignKey("clients.id", ondelete="CASCADE")
    return [sa.Column("id", sa.String(36), primary_key=True), sa.Column("client_id", sa.String, owner)]


def _agenda() -> None:
    op.create_table(
        "events",
        *_own(),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("start_at", sa.BigInteger, nullable=False),
        sa.Column("end_at", sa.BigInteger),
        sa.Column("all_day", sa.Boolean, nullable=False),
        sa.Column("location", sa.String),
        *_dates(),
    )
    event = sa.ForeignKey("events.id", ondelete="SET NULL")
    op.create_table(
        "tasks",
        *_own(),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("event_id", sa.String(36), event),
        sa.Column("timing_relative_to_event", sa.String),
        *_dates(),
    )
    _reminders()
    for table in ("events", "tasks", "reminders"):
        op.create_index(f"ix_{table}_client_id", table, ["client_id"])


def _reminders() -> None:
    waiting = sa.text("fired_at IS NULL")
    op.create_table(
        "reminders",
        *_own(),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("trigger_at", sa.BigInteger, nullable=False),
        sa.Column("is_completed", sa.Boolean, nullable=False),
        sa.Column("task_id", sa.String(36), sa.ForeignKey("tasks.id", ondelete="CASCADE")),
        sa.Column("event_id", sa.String(36), sa.ForeignKey("events.id", ondelete="CASCADE")),
        sa.Column("fired_at", sa.BigInteger),
        *_dates(),
    )
    op.create_index(
        "reminders_due", "reminders", ["trigger_at"], sqlite_where=waiting, postgresql_where=waiting
    )
