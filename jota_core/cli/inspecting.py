"""`jota plugins`: sections with their states, and plugins that nobody uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jota_core.api import HealthReport, SectionReport
from jota_core.config import Config
from jota_core.hosting import Finder

from . import crew, folder, snapshot
from .loading import load

COLOURS = {
    "running": "green",
    "waiting": "yellow",
    "degraded": "yellow",
    "starting": "yellow",
    "failed": "red",
}


def show_plugins(file: Path, data: Path | None, options: Sequence[str], *, safe: bool) -> None:
    """Print both tables; states are those of the running host where there is one."""
    config = load(file, data, options, safe=safe)
    console = Console()
    pid = folder.holder(config.data)
    console.print(
        f"Jota runs as process {pid}." if pid else "Jota is not running; these are the states after reading."
    )
    report = snapshot.read(config.data) if pid else None
    for member in crew.members(config.data, report) if report else ():
        console.print(member.standing)
        for section in member.unwell:
            console.print(f"  {section.section} is {section.state}: {section.detail}")
    console.print(_sections(config, report))
    unused = set(Finder().names()) - {section.plugin for section in config.sections}
    if unused:
        console.print("Installed, not used: " + ", ".join(sorted(unused)))


def _sections(config: Config, report: HealthReport | None) -> Table:
    table = Table("section", "plugin", "from", "state", "detail")
    known = {section.section: section for section in report.sections} if report else {}
    for section in config.sections:
        shown = known.get(section.name) or SectionReport(
            section.name, section.plugin, (), section.state, section.detail
        )
        colour = COLOURS.get(shown.state, "white")
        table.add_row(
            section.name,
            escape(section.plugin),
            _origin(section.plugin),
            f"[{colour}]{shown.state}[/]",
            escape(shown.detail),
        )
    return table


def _origin(plugin: str) -> str:
    if plugin.endswith(".py"):
        return "file"
    return "Jota" if Finder().is_built_in(plugin) else "installed"
