"""What commands have in common: options, and how they stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ..urls import StoreUrl

WRONG = 2
"""Exit code for what the user can put right, as in every `jota` command."""
Data = Annotated[
    Path | None, typer.Option("--data", help="The data folder, as for `jota run`.", metavar="DIR")
]


def url_of(text: str) -> StoreUrl:
    """A store's address, or a sentence and the end."""
    url = StoreUrl(text)
    try:
        url.check()
    except ValueError as error:
        stop(f"{text} is {error}.")
    return url


def stop(sentence: str) -> NoReturn:
    """End the command."""
    typer.echo(sentence, err=True)
    raise typer.Exit(WRONG)
