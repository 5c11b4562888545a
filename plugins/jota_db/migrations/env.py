"""Alembic's entry: runs the migrations on the file that `schema.migrate` names, in one transaction."""

from pathlib import Path

from alembic import context
from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool

from jota_db.sql.tables import metadata

path: Path = context.config.attributes["path"]
engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)


@event.listens_for(engine, "connect")
def _no_implicit_transactions(connection, _record):  # type: ignore[no-untyped-def]  # the driver's own object
    connection.isolation_level = None  # else the driver commits before each change of a table


@event.listens_for(engine, "begin")
def _begin(connection):  # type: ignore[no-untyped-def]  # the event's own signature
    connection.exec_driver_sql("BEGIN IMMEDIATE")


with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
