"""Facts about people and sections: frozen values that rooms and plugins hand to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a caller shows at a door; every member is untrusted."""

    door: str
    """Section name of the door that asks."""
    user_id: str | None = None
    """Who the caller says it speaks for."""
    key: str | None = field(default=None, repr=False)
    address: str | None = None
    """Peer address, for counting wrong keys."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, once somebody vouched for it."""

    id: str
    """Owner of conversations; the tenant of every store query."""
    roles: frozenset[str] = frozenset({"chat"})
    """Scopes: `chat`, `node`, `service`, `admin`."""


class State(StrEnum):
    """Where a section is in its life."""

    FOUND = "found"
    LOADED = "loaded"
    STARTING = "starting"
    RUNNING = "running"
    DEGRADED = "degraded"
    WAITING = "waiting"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Health:
    """A section's own word on itself."""

    ok: bool
    detail: str = ""
    """A sentence for people; with the fix where there is one."""
    hint: str = ""
    """Worth saying by `jota doctor` even when all is well."""
    running: int = 0
    """Requests that it works on now."""
    waiting: int = 0
    """Requests that wait in its queue."""


@dataclass(frozen=True, slots=True)
class SectionReport:
    """One section as `/health`, `jota plugins` and `jota doctor` show it."""

    section: str
    plugin: str
    kinds: tuple[str, ...]
    """What it offers: `memory`, `inference`, `tool`, `door`."""
    state: State
    detail: str = ""
    hint: str = ""
    restarts: int = 0
    offences: int = 0
    """Hooks that failed, and blocks of the event loop."""
    retry_in_s: float | None = None
    hooks: int = 0
    """Calls of its hooks."""
    hooks_s: float = 0.0
    """What they took together, waiting included."""
    running: int = 0
    """Requests that it works on now."""
    waiting: int = 0
    """Requests that wait in its queue."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The whole host: every section, and the verdict."""

    ok: bool
    sections: tuple[SectionReport, ...]
    loop_lag_ms: float = 0.0
    """Worst of the last minute."""
    turns_running: int = 0
    turns_waiting: int = 0
    """Messages that wait for their turn."""
    worker: int | None = None
    """Which of several worker processes says this."""
    workers: int = 1
    """How many there are."""
