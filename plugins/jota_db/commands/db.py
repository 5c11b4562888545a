"""`jota db copy`: move from one database to the other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jota_core.api import AuthFailed, NotReady, SetupFailed

from ..urls import StoreUrl
from .saying import Data, stop, url_of

if TYPE_CHECKING:
    from ..sql.statement import Sql

db = typer.Typer(help="Look after the store.", no_args_is_help=True)


@db.callback()
def _group() -> None:
    """Keeps `copy` a command of its own even while it is the only one."""


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
