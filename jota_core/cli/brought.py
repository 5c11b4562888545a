"""Commands that plugins bring: entry points of group `jota.commands`, loaded only when they are called."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import typer

from .exits import WRONG

GROUP = "jota.commands"


def commands() -> dict[str, EntryPoint]:
    """Every command that an installed plugin brings, by name."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def run(name: str, arguments: list[str]) -> None:
    """Load one command and run it, with what `.env` says; ends the process as the command decides."""
    _take_dotenv(Path(".env"))
    command = commands()[name].load()
    if isinstance(command, typer.Typer):
        command = typer.main.get_command(command)
    command.main(args=arguments, prog_name=f"jota {name}")


def _take_dotenv(file: Path) -> None:
    """Keys and places for a host of this folder are those for its commands; the real environment wins."""
    from dotenv import load_dotenv

    try:
        load_dotenv(file)
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "it is not UTF-8"
        typer.echo(f"{file}: it cannot be read: {what}", err=True)
        sys.exit(WRONG)
