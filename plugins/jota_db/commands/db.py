"""`jota db`: move from one database to the other, or from the public JotaDB."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jota_core.api import AuthFailed, NotReady, SetupFailed

from ..urls import StoreUrl
from .backup import backup, restore
from .clients import USUAL, Store, whole
from .saying import Data, stop, url_of

if TYPE_CHECKING:
    from ..sql.importing import Found
    from ..sql.statement import Sql

db = typer.Typer(help="Look after the store.", no_args_is_help=True)
db.command("backup")(backup)
db.command("restore")(restore)


@db.command("copy")
def copy_(
    source: Annotated[str, typer.Argument(help="The store to read, as `store:` names it.")],
    target: Annotated[str, typer.Argument(help="An empty one to write to.")],
    data: Data = None,
) -> None:
    """Copy everything from one store into another, empty one. Stop Jota first."""
    from .opening import data_folder

    urls = [url_of(text) for text in (source, target)]
    try:
        rows = asyncio.run(_copied(urls[0], urls[1], data_folder(data)))
    except (NotReady, AuthFailed, SetupFailed) as error:
        stop(str(error))
    except OSError as error:
        stop(f"The store cannot be opened: {error}.")
    typer.echo(f"{rows} rows were copied. Name the new store in jota.yaml: store: {urls[1]}")


@db.command("import")
def import_(
    source: Annotated[
        str, typer.Argument(help="A database of the public JotaDB: sqlite:///… or postgresql://…")
    ],
    store: Store = USUAL,
    data: Data = None,
) -> None:
    """Add everything of a public JotaDB's database to a store: keys go on working. Stop Jota first."""
    from .opening import data_folder

    try:
        found = asyncio.run(_imported(url_of(source), url_of(store), data_folder(data)))
    except (NotReady, AuthFailed, SetupFailed, LookupError) as error:
        stop(str(error))
    except OSError as error:
        stop(f"The database cannot be opened: {error}.")
    for kind, count in found.taken.items():
        typer.echo(f"  {kind}: {count}")
    for sentence in found.left:
        typer.echo(f"  left alone: {sentence}")


async def _imported(source: StoreUrl, target: StoreUrl, data: Path) -> Found:
    from sqlalchemy import create_engine
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.util.concurrency import greenlet_spawn

    from ..sql.importing import read_public
    from .opening import opened

    if source.is_file:
        if not source.path(data).exists():
            stop(f"There is no database {source.path(data)}.")
        with create_engine(f"sqlite:///{source.path(data)}").connect() as connection:
            found = read_public(connection)
    else:
        engine = create_async_engine(f"postgresql+asyncpg://{source.dsn.partition('://')[2]}")
        async with engine.connect() as connection:
            found = await connection.run_sync(read_public)
        await engine.dispose()
    async with opened(target, data, alone=True) as sql:
        await greenlet_spawn(_write, sql, found)
    return found


def _write(sql: Sql, found: Found) -> None:
    from ..sql.copying import highest_numbers
    from ..sql.importing import write_public

    sql.count_on(*highest_numbers(sql))
    whole(lambda sql: write_public(sql, found), sql)


async def _copied(source: StoreUrl, target: StoreUrl, data: Path) -> int:
    from sqlalchemy.util.concurrency import greenlet_spawn

    from .opening import opened

    if source.is_file and not source.path(data).exists():
        stop(f"There is no store {source.path(data)}.")
    async with opened(source, data, alone=True) as reading, opened(target, data, alone=True) as writing:
        return await greenlet_spawn(_copy, reading, writing, str(target))


def _copy(reading: Sql, writing: Sql, name: str) -> int:
    from ..sql.copying import NotEmpty, copy, highest_numbers

    try:
        rows = copy(reading, writing, lambda table, count: typer.echo(f"  {table}: {count}"))
    except NotEmpty:
        stop(f"{name} holds something already; copying needs an empty store. Nothing was changed.")
    writing.count_on(*highest_numbers(writing))
    return rows
