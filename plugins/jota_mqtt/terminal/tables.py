"""Nodes as people read them in a terminal."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

MINUTE, HOUR, DAY = 60, 3600, 86_400


def show_all(found: list[dict[str, Any]]) -> None:
    """One line each; those that wait for approval first."""
    if not found:
        Console().print("No node has come yet. `jota node --id test` is one to try.")
        return
    table = Table("", "id", "name", "area", "status", "seen", "", box=None, pad_edge=False)
    for each in sorted(found, key=lambda node: (node["approved"], node["id"])):
        code = each["pairing_code"]
        note = (
            "" if each["approved"] else f"waits for approval, code {code}" if code else "waits for approval"
        )
        mark = "●" if each["approved"] else "○"
        cells = (each["id"], each["name"], each["area"] or "", each["status"], ago(each["last_seen"]), note)
        table.add_row(mark, *map(escape, cells))
    Console().print(table)


def show_one(node: dict[str, Any]) -> None:
    """Everything, a line each."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in node.items():
        shown = ago(value) if name == "last_seen" else value
        if shown not in (None, "", {}):
            table.add_row(name, escape(str(shown)))
    Console().print(table)


def ago(seconds: float | None) -> str:
    """How long ago a moment was."""
    if not seconds:
        return "never"
    past = max(0, time.time() - seconds)
    for size, word in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if past >= size:
            return f"{past // size:.0f} {word} ago"
    return "just now"
