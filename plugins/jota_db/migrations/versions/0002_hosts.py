"""Several hosts on one database: whose turn is it, and one counter for all."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import CreateSequence

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A turn knows its host."""
    op.add_column("turns", sa.Column("host", sa.Integer, nullable=False, server_default="0"))
    if op.get_bind().dialect.supports_sequences:
        op.execute(CreateSequence(sa.Sequence("jota_numbers", data_type=sa.BigInteger())))
        op.execute(CreateSequence(sa.Sequence("jota_hosts")))
