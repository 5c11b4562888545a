"""Alembic's entry: runs the migrations in the transaction that `schema.migrate` is called in."""

from alembic import context

from jota_db.sql.schema import TABLES

context.configure(
    connection=context.config.attributes["connection"], target_metadata=TABLES, render_as_batch=True
)
context.run_migrations()
