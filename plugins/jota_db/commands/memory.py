"""`jota memory`: what is known of somebody for good."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .clients import USUAL, Store, done_in_store
from .saying import Data

memory = typer.Typer(help="What is known of somebody for good.", no_args_is_help=True)

User = Annotated[str, typer.Option("--user", help="Of whom.", metavar="ID")]
Id = Annotated[str, typer.Argument(help="As `jota memory list` shows it.")]
ME = "api_user"
Replaces = Annotated[str | None, typer.Option(help="The id of a fact that it outdates.", metavar="ID")]


@memory.command("list")
def list_(user: User = ME, store: Store = USUAL, data: Data = None) -> None:
    """Show the facts that hold."""
    from ..facts import ledger

    for fact in done_in_store(lambda sql: ledger.active(sql, user), store, data):
        typer.echo(f"{fact['id']}  {fact['text']}")


@memory.command()
def add(
    text: Annotated[str, typer.Argument(help="One plain sentence.")],
    replaces: Annotated[
        str | None, typer.Option(help="The id of a fact that it outdates.", metavar="ID")
    ] = None,
    user: User = ME,
    store: Store = USUAL,
    data: Data = None,
) -> None:
    """Keep a fact."""
    from ..facts import ledger

    made = done_in_store(lambda sql: ledger.add(sql, user, text, replaces=replaces), store, data)
    typer.echo(made["id"])


@memory.command()
def edit(
    key: Id,
    text: Annotated[str, typer.Argument(help="Its new words.")],
    user: User = ME,
    store: Store = USUAL,
    data: Data = None,
) -> None:
    """Say a fact in other words."""
    from ..facts import ledger

    done_in_store(lambda sql: ledger.change(sql, user, key, text), store, data)


@memory.command()
def forget(key: Id, user: User = ME, store: Store = USUAL, data: Data = None) -> None:
    """Erase a fact for good."""
    from ..facts import ledger

    done_in_store(lambda sql: ledger.forget(sql, user, key), store, data)


@memory.command()
def export(user: User = ME, store: Store = USUAL, data: Data = None) -> None:
    """Print all facts as JSON, superseded ones too."""
    from ..facts import ledger
    from ..facts.routes import told_of

    found = done_in_store(lambda sql: ledger.every(sql, user), store, data)
    typer.echo(json.dumps([told_of(fact) for fact in found], indent=1, ensure_ascii=False))
