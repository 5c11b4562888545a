"""Worker processes: several processes of one host that share its app door (`jota run --workers N`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Worker:
    """One process among several. The first is a whole host; the others share its door and its engines."""

    number: int
    """From 1."""
    count: int
    ports: Mapping[str, int] = field(default_factory=dict)
    """On 127.0.0.1, by kind (`memory`, `inference`, `transcription`): where the first serves the others."""
    key: str = field(default="", repr=False)
    """Of this start; what the others show there."""

    @property
    def is_first(self) -> bool:
        """Whether it has what there is only once."""
        return self.number == 1

    def address(self, kind: str) -> str:
        """Where the first worker serves one kind."""
        return f"127.0.0.1:{self.ports[kind]}"


@dataclass(frozen=True, slots=True)
class UseFirst:
    """Instead of settings: this section's work is done by the first worker, and reached by its wire."""

    kind: str
    """`memory`, `inference` or `transcription`."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the stand-in that differ from the usual ones."""


class Sharing:
    """How workers reach one kind at the first. An entry point of group `jota.workers`, named by its kind."""

    def server(self, worker: Worker) -> tuple[str, dict[str, Any]] | None:
        """Plugin and settings of a section more in the first worker; None when the section itself serves."""
        return None

    def client(self, worker: Worker) -> tuple[str, dict[str, Any]]:
        """Plugin and settings that stand in for the section in the others."""
        raise NotImplementedError
