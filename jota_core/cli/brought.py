"""Commands that plugins bring: entry points of group `jota.commands`, loaded only when they are called."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import typer

GROUP = "jota.commands"


def commands() -> dict[str, EntryPoint]:
    """Every command that an installed plugin brings, by name."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def run(name: str, arguments: list[str]) -> None:
    """Load one command and run it; ends the process as the command decides."""
    command = commands()[name].load()
    if isinstance(command, typer.Typer):
        command = typer.main.get_command(command)
    command.main(args=arguments, prog_name=f"jota {name}")
