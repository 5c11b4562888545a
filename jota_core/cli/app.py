"""The commands of the core. Heavy imports stand inside, so that `jota check` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from jota_core import __version__

from . import brought
from .exits import FINE, WRONG

app = typer.Typer(
    name="jota",
    help="A persistent, private assistant that you host yourself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
plugin = typer.Typer(help="Write plugins.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(plugin, name="plugin")

File = Annotated[Path, typer.Option("-c", "--config", help="The configuration.", metavar="FILE")]
Data = Annotated[
    Path | None, typer.Option("--data", help="Folder for memory, models and logs.", metavar="DIR")
]
Set = Annotated[
    list[str], typer.Option("--set", help="Any setting, as in plugins.app.listen=127.0.0.1:8123.")
]
Safe = Annotated[bool, typer.Option("--safe", help="Leave out plugins that do not come with Jota.")]
Kind = Literal["tool", "backend", "transport", "memory"]
YAML = Path("jota.yaml")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"jota {__version__}")
        raise typer.Exit(FINE)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """A persistent, private assistant that you host yourself."""


@app.command()
def run(
    config: File = YAML,
    data: Data = None,
    set_: Set = [],  # noqa: B006 - typer's way
    safe: Safe = False,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes that share the app door.")
    ] = None,
) -> None:
    """Start the host; Ctrl-C drains and stops it, a second one stops it at once."""
    from .run import run as start

    raise typer.Exit(start(config, data, set_, safe=safe, workers=workers))


@app.command()
def check(config: File = YAML, data: Data = None, set_: Set = [], safe: Safe = False) -> None:  # noqa: B006 - typer's way
    """Read the configuration and tell every problem at once; starts nothing."""
    from .loading import load

    loaded = load(config, data, set_, safe=safe)
    broken = [section for section in loaded.sections if section.plugin_class is None and section.detail]
    for section in broken:
        typer.echo(f"{section.place}: plugins.{section.name}: {section.detail}", err=not safe)
    if any(section.state == "failed" for section in broken):
        raise typer.Exit(WRONG)
    typer.echo(f"{config}: fine, {len(loaded.sections)} sections.")


@app.command()
def plugins(config: File = YAML, data: Data = None, set_: Set = [], safe: Safe = False) -> None:  # noqa: B006 - typer's way
    """Show every section with its state, and installed plugins that are not used."""
    from .inspecting import show_plugins

    show_plugins(config, data, set_, safe=safe)


@app.command()
def doctor(config: File = YAML, data: Data = None, set_: Set = [], safe: Safe = False) -> None:  # noqa: B006 - typer's way
    """Look for what is wrong or could be better, with the fix for each."""
    from .doctor import examine

    raise typer.Exit(examine(config, data, set_, safe=safe))


@app.command()
def schema() -> None:
    """Print the JSON Schema of jota.yaml with all installed plugins."""
    import json

    from jota_core.config import json_schema

    from .loading import installed

    typer.echo(json.dumps(json_schema(installed()), indent=2, ensure_ascii=False))


@plugin.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Name of the package, as in jota_kettle.")],
    kind: Annotated[Kind, typer.Option("--kind", help="What it offers.")] = "tool",
    folder: Annotated[Path, typer.Option("--into", help="Where the package's folder is made.")] = Path(),
) -> None:
    """Make a plugin package with tests, ready to install."""
    from jota_core.scaffold import create

    try:
        files = create(name, kind, folder)
    except (ValueError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(WRONG) from None
    for file in files:
        typer.echo(f"made {file}")


def _show_brought() -> None:
    """List the commands of plugins in the help; `main` runs them before this app is asked."""
    for name, entry in sorted(brought.commands().items()):
        package = entry.value.partition(":")[0].partition(".")[0]

        @app.command(name, help=f"From the plugin {package}; see `jota {name} --help`.")
        def _brought() -> None:
            """Stands for a command that `main` has run already."""


_show_brought()
