"""`jota doctor`: what is wrong or could be better, each with its fix."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from jota_core.api import HealthReport
from jota_core.config import Config
from jota_core.host import Host

from . import crew, folder, snapshot
from .exits import FINE, MISSING
from .loading import load

LITTLE_DISK = 1_000_000_000
MARKS = {"good": "[green]✓[/]", "hint": "[yellow]![/]", "bad": "[red]✗[/]"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's letter."""

    mark: str
    """`good`, `hint` or `bad`."""
    sentence: str


def examine(file: Path, data: Path | None, options: Sequence[str], *, safe: bool) -> int:
    """Print every finding; returns 3 when something is bad, else 0."""
    config = load(file, data, options, safe=safe)
    console = Console(soft_wrap=True)
    findings = [Finding("good", f"{file} is fine."), *_folder(config), *_sections(config)]
    for finding in findings:
        console.print(MARKS[finding.mark], escape(finding.sentence), highlight=False)
    return MISSING if any(finding.mark == "bad" for finding in findings) else FINE


def _folder(config: Config) -> Iterator[Finding]:
    data = config.data
    near = next(parent for parent in (data, *data.parents) if parent.exists())
    if os.access(near, os.W_OK):
        yield Finding("good", f"The data folder {data} can be written.")
    else:
        yield Finding(
            "bad", f"The data folder {data} cannot be written. Make it writable, or use --data DIR."
        )
    free = shutil.disk_usage(near).free
    if free < LITTLE_DISK:
        yield Finding("bad", f"Only {free // 1_000_000} MB are free on the disk of {data}. Make room.")


def _sections(config: Config) -> Iterator[Finding]:
    pid = folder.holder(config.data)
    report = snapshot.read(config.data) if pid else None
    if report is None:
        yield Finding("hint", "Jota is not running. Start it with `make run` or `jota run`.")
        report = asyncio.run(Host(config).health())
    else:
        yield Finding("good", f"Jota runs as process {pid}.")
        yield from _crew(config.data, report)
    yield from _letter(report)


def _crew(data: Path, report: HealthReport) -> Iterator[Finding]:
    for member in crew.members(data, report):
        yield Finding("good" if member.pid else "bad", member.standing)
        for section in member.unwell:
            name = f"Worker {member.number}: {section.section} ({section.plugin})"
            yield Finding("bad", f"{name} is {section.state}: {section.detail}")


def _letter(report: HealthReport) -> Iterator[Finding]:
    for section in report.sections:
        name = f"{section.section} ({section.plugin})"
        if section.state in crew.WELL:
            yield Finding("good", f"{name} is {section.state}. {section.detail}".rstrip())
        else:
            yield Finding("bad", f"{name} is {section.state}: {section.detail}")
        if section.hint:
            yield Finding("hint", section.hint)
    if report.loop_lag_ms > 200:
        yield Finding(
            "hint", f"The event loop was late by {report.loop_lag_ms:.0f} ms within the last minute."
        )
