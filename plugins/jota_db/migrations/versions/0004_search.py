"""Full-text search: an index of words, kept beside the messages."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index; the words of what is there already are put into it when the store is opened."""
    from jota_db.sql.search_table import make_search

    make_search(op.get_bind())
