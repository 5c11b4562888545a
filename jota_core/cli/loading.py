"""Reading the configuration for a command; problems are printed and end it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from jota_core.api import Plugin
from jota_core.config import BrokenPlugin, Config, ConfigProblems
from jota_core.config import load as read
from jota_core.hosting import Finder

from . import crash
from .exits import WRONG


def load(file: Path, data: Path | None, options: Sequence[str], *, safe: bool) -> Config:
    """The configuration; ends the command with exit code 2 after printing every problem."""
    finder = Finder(safe=safe)
    try:
        config = read(file, plugin_class=finder.plugin_class, environ=os.environ, options=options, data=data)
    except ConfigProblems as found:
        for problem in found.problems:
            typer.echo(str(problem), err=True)
        raise typer.Exit(WRONG) from None
    crash.hide(config.secrets)
    return config


def installed() -> dict[str, type[Plugin[Any]]]:
    """Every installed plugin that can be loaded, by name."""
    finder, found = Finder(), {}
    for name in finder.names():
        try:
            found[name] = finder.plugin_class(name, Path())
        except BrokenPlugin as error:
            typer.echo(f"{name}: {error.sentence}", err=True)
    return found
