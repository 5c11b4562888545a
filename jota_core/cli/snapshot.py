"""The snapshot: a running host writes its health into the data folder, for `jota plugins` and `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from jota_core.api import HealthReport, SectionReport, State

FILE = "health.json"


def write(data: Path, report: HealthReport) -> None:
    """Replace the snapshot in one step."""
    new = data / f"{FILE}.new"
    new.write_bytes(orjson.dumps(report))
    new.replace(data / FILE)


def read(data: Path) -> HealthReport | None:
    """The last snapshot; None when there is none that can be read."""
    try:
        raw: dict[str, Any] = orjson.loads((data / FILE).read_bytes())
        sections = tuple(_section(section) for section in raw["sections"])
        return HealthReport(**{**raw, "sections": sections})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _section(raw: dict[str, Any]) -> SectionReport:
    return SectionReport(**{**raw, "kinds": tuple(raw["kinds"]), "state": State(raw["state"])})
