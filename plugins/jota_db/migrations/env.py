"""Alembic's entry: runs the migrations in the transaction that `schema.migrate` is called in."""

from alembic import context

from jota_db.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
context.run_migrations()
