"""`jota clients`: who may talk to this Jota, and their keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from .saying import Data, stop, url_of

if TYPE_CHECKING:
    from ..sql.statement import Sql

T = TypeVar("T")

clients = typer.Typer(help="Who may talk to this Jota, and their keys.", no_args_is_help=True)

Store = Annotated[
    str, typer.Option("--store", envvar="JOTA_STORE", help="As `store:` in jota.yaml.", metavar="URL")
]
Name = Annotated[str, typer.Argument(help="A name, which is also the id.")]
USUAL = "sqlite:///jota.db"
ONCE = "Keep it now: it is not shown again."


@clients.command()
def add(
    name: Name,
    kind: Annotated[
        str, typer.Option("--type", help="chat or quick; for programs of yours: service, node or admin.")
    ] = "chat",
    store: Store = USUAL,
    data: Data = None,
) -> None:
    """Make a key for somebody new."""
    from ..people import registry

    def work(sql: Sql) -> str:
        if kind.upper() in registry.CLIENT_TYPES:
            return registry.add_client(sql, name, kind.upper())[1]
        return registry.add_service(sql, name, kind)[1]

    _tell_key(name, done_in_store(work, store, data))


@clients.command("list")
def list_(store: Store = USUAL, data: Data = None) -> None:
    """Show everybody who has a key; the keys themselves are not kept."""
    from rich.console import Console
    from rich.table import Table

    from ..people import registry

    table = Table("", "name", "kind", box=None, pad_edge=False)
    for each in done_in_store(registry.everybody, store, data):
        kind = each.entry["type"].lower() if each.kind == "client" else each.kind
        table.add_row("●" if each.is_active else "○", each.id, kind)
    Console().print(table)
    typer.echo("● active   ○ revoked")


@clients.command()
def rotate(name: Name, store: Store = USUAL, data: Data = None) -> None:
    """Make a new key; the old one is worth nothing any more, a revoked name is active again."""
    from ..people import registry

    _tell_key(name, done_in_store(lambda sql: registry.rotate(sql, name), store, data))


@clients.command()
def revoke(name: Name, store: Store = USUAL, data: Data = None) -> None:
    """Make somebody's key worthless; what they said is kept."""
    from ..people import registry

    done_in_store(lambda sql: registry.revoke(sql, name), store, data)
    typer.echo(f"The key of {name} is worth nothing any more.")


def _tell_key(name: str, key: str) -> None:
    typer.echo(f"The key of {name}: {key}")
    typer.echo(ONCE, err=True)


def done_in_store(work: Callable[[Sql], T], store: str, data: Path | None) -> T:
    """What a unit of work gives, or a sentence and the end."""
    from jota_core.api import AuthFailed, JotaError, NotReady, SetupFailed

    try:
        return asyncio.run(_in_store(work, store, data))
    except JotaError as error:
        stop(error.sentence)
    except (NotReady, AuthFailed, SetupFailed) as error:
        stop(str(error))
    except OSError as error:
        stop(f"The store cannot be opened: {error}.")


async def _in_store(work: Callable[[Sql], T], store: str, data: Path | None) -> T:
    from sqlalchemy.util.concurrency import greenlet_spawn

    from .opening import data_folder, opened

    async with opened(url_of(store), data_folder(data)) as sql:
        return await greenlet_spawn(whole, work, sql)


def whole(work: Callable[[Sql], T], sql: Sql) -> T:
    """Do it in one transaction."""
    sql.say("BEGIN IMMEDIATE")
    try:
        done = work(sql)
        sql.say("COMMIT")
    finally:
        if sql.in_transaction:
            sql.say("ROLLBACK")
    return done
