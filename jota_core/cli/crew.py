"""The worker processes of a running host, as their data folders tell of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jota_core.api import HealthReport, SectionReport, State

from . import folder, snapshot

WELL = (State.RUNNING, State.LOADED, State.STOPPED)
DOWN = "Worker {number} is down. It is started again by itself; the log says why it ended."


@dataclass(frozen=True, slots=True)
class Member:
    """One worker."""

    number: int
    pid: str
    """Empty when it is down."""
    unwell: tuple[SectionReport, ...]
    """Sections of its own that do not run; those of the first are the host's."""

    @property
    def standing(self) -> str:
        """A sentence for people."""
        if not self.pid:
            return DOWN.format(number=self.number)
        return f"Worker {self.number} runs as process {self.pid}."


def members(data: Path, report: HealthReport) -> Iterator[Member]:
    """All of them, down or not; none where there is only one process. `report` is the host's last."""
    from jota_core.workers.dividing import own

    for number in range(1, report.workers + 1) if report.workers > 1 else ():
        place = own(data, number)
        pid = folder.holder(place)
        told = snapshot.read(place) if pid and number > 1 else None
        yield Member(
            number, pid, tuple(each for each in told.sections if each.state not in WELL) if told else ()
        )
