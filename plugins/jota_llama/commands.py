"""`jota models`: see, fetch and choose the models that run on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from jota_core.fetching.files import Progress, PullFailed
from jota_core.fetching.shelf import Shelf, shelf_of, shelves

from .models.catalogue import STARTER, better_model_advice, catalogue
from .models.library import Library, UnknownModel

WRONG = 2
"""Exit code for what the user can put right, as in every `jota` command."""

models = typer.Typer(help="See, fetch and choose the models that run on this machine.", no_args_is_help=True)

Data = Annotated[
    Path | None, typer.Option("--data", help="The data folder, as for `jota run`.", metavar="DIR")
]


def data_folder(given: Path | None) -> Path:
    """The folder that `jota run` uses here: `--data`, else `JOTA_DATA`, else `./data`."""
    return (given or Path(os.environ.get("JOTA_DATA") or "data")).absolute()


@models.command("list")
def list_(data: Data = None) -> None:
    """Show installed models, which one is in use, and those that can be fetched by name."""
    from rich.console import Console
    from rich.table import Table

    library = Library(data_folder(data))
    here = {model.name: model for model in library.installed()}
    table = Table("", "model", "size", "memory", "languages", "licence", "", box=None, pad_edge=False)
    current = library.current()
    for model in catalogue():
        size, memory = f"{model.size / 1e9:.1f} GB", f"{model.memory_mb / 1000:.1f} GB"
        mark = _mark(model.name, current, model.name in here)
        languages = ", ".join(model.languages)
        table.add_row(mark, model.name, size, memory, languages, model.licence, model.note)
        here.pop(model.name, None)
    for other in here.values():
        table.add_row(_mark(other.name, current, True), other.name, f"{other.size / 1e9:.1f} GB")
    for shelf in shelves():
        for entry in shelf.entries():
            mark = "●" if shelf.path(entry.name, data_folder(data)).is_file() else ""
            size, memory = f"{entry.size / 1e9:.1f} GB", f"{entry.memory_mb / 1000:.1f} GB"
            languages = ", ".join(entry.languages)
            table.add_row(mark, entry.name, size, memory, languages, entry.licence, entry.note)
    console = Console()
    console.print(table)
    console.print("● in use   ○ installed   `jota models pull NAME` fetches, `jota models use NAME` chooses")
    if current == STARTER:
        console.print(better_model_advice(), highlight=False)


@models.command()
def pull(
    model: Annotated[
        list[str],
        typer.Argument(help="NAME, OWNER/NAME[:FILE] on Hugging Face, or a .gguf file; or several."),
    ],
    data: Data = None,
    use_it: Annotated[bool, typer.Option("--use/--no-use", help="Use it from now on.")] = True,
) -> None:
    """Fetch models and use them; a running Jota changes over by itself."""
    for name in model:
        if shelf := shelf_of(name):
            _pull_from(shelf, name, data_folder(data))
        else:
            _pull(name, Library(data_folder(data)), use_it=use_it)


def _pull(name: str, library: Library, *, use_it: bool) -> None:
    from .models.pull import pull as fetch

    try:
        with _bar(name) as progress:
            fetched = fetch(name, library, progress)
        # `make run` pulls the starter each time: that must not undo a choice.
        if use_it and (fetched.name != STARTER or library.find(library.current()) is None):
            library.use(fetched.name)
    except (PullFailed, UnknownModel) as error:
        _refuse(str(error))
    in_use = library.current()
    typer.echo(f"{fetched.name} is here ({fetched.size / 1e9:.1f} GB); Jota uses {in_use}.")
    if in_use == STARTER:
        typer.echo(better_model_advice())


def _pull_from(shelf: Shelf, name: str, data: Path) -> None:
    """A model of another plugin, which its settings choose."""
    try:
        with _bar(name) as progress:
            path = shelf.pull(name, data, progress)
    except (PullFailed, OSError) as error:
        _refuse(str(error))
    typer.echo(f"{name} is here ({path.stat().st_size / 1e9:.1f} GB).")


@models.command()
def use(model: Annotated[str, typer.Argument(help="Name of an installed model.")], data: Data = None) -> None:
    """Choose the model; a running Jota changes over by itself."""
    try:
        chosen = Library(data_folder(data)).use(model)
    except (UnknownModel, OSError) as error:
        _refuse(str(error))
    typer.echo(f"Jota uses {chosen.name} from now on.")


def _mark(name: str, current: str, installed: bool) -> str:
    if not installed:
        return ""
    return "●" if name == current else "○"


def _refuse(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(WRONG)


@contextmanager
def _bar(name: str) -> Iterator[Progress]:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task(name, total=None)

        def show(doing: str, done: int, total: int) -> None:
            bar.update(task, description=f"{doing} {name}", completed=done, total=total or None)

        yield show
