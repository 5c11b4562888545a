"""The first tables: clients, conversations, turns, messages."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
RUNNING = sa.text("state = 'running'")


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "clients",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("type", sa.String, nullable=False, server_default="CHAT"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "conversations",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("client_id", sa.String, sa.ForeignKey("clients.id", ondelete="CASCADE"), nullable=False),
        sa.Column("title", sa.String),
        sa.Column("status", sa.String, nullable=False, server_default="active"),
        sa.Column("model_id", sa.String),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("activity", number, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("id", "client_id", name="conversations_owner"),
        sqlite_autoincrement=True,
    )
    op.create_index("conversations_latest", "conversations", ["client_id", "activity"])
    _turns()
    _messages()


def _turns() -> None:
    op.create_table(
        "turns",
        sa.Column("seq", number, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("conversation_id", number, nullable=False),
        sa.Column("client_id", sa.String, nullable=False),
        sa.Column("message_id", sa.String, nullable=False),
        sa.Column("answer_id", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("note", sa.Text, nullable=False, server_default=""),
        sa.Column("error_code", sa.String),
        sa.Column("stats", sa.Text),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.ForeignKeyConstraint(
            ["conversation_id", "client_id"],
            ["conversations.id", "conversations.client_id"],
            ondelete="CASCADE",
        ),
    )
    op.create_index("turns_of_conversation", "turns", ["conversation_id", "seq"])
    op.create_index("turns_running", "turns", ["seq"], sqlite_where=RUNNING, postgresql_where=RUNNING)


def _messages() -> None:
    turn = sa.ForeignKey("turns.seq", ondelete="CASCADE")
    op.create_table(
        "messages",
        sa.Column("turn_seq", number, turn, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("thought", sa.Text, nullable=False, server_default=""),
        sa.Column("ai_model_id", sa.String),
        sa.Column("extra_data", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """A store is never taken back to an older version."""
    raise RuntimeError("A store of Jota is never downgraded; restore a backup instead.")
