"""What is known of a node: what people decided, and what was seen."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..wire.payloads import Info

FLAPS, FLAP_S = 6, 60.0
"""So many changes in so many seconds are not one device."""
KNOWN_WORDS = ("online", "offline", "sleeping")


@dataclass(slots=True)
class Known:
    """What people decided; kept in the memory under `nodes`."""

    is_approved: bool = False
    name: str | None = None
    area: str | None = None
    user: str | None = None
    conversation_id: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    rev: int = 0
    """Of `config`."""

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Known:
        """As it was kept; members of newer versions are ignored."""
        return cls(**{name: value[name] for name in cls.__slots__ if name in value})


@dataclass(slots=True)
class Seen:
    """What was seen; kept in the memory under `node-states` by the host that serves the node."""

    status: str = "unknown"
    last_seen: float = 0.0
    """Seconds since 1970."""
    info: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    last_turn: dict[str, Any] | None = None
    code: str | None = None
    code_until: float = 0.0
    """When the pairing code dies, in seconds since 1970."""

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Seen:
        """As it was kept; members of newer versions are ignored."""
        return cls(**{name: value[name] for name in cls.__slots__ if name in value})


class Node:
    """One node as this host knows it; a thousand idle ones must be cheap."""

    __slots__ = ("_flaps", "id", "is_changed", "known", "seen", "version")

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.known = Known()
        self.seen = Seen()
        self.version = 0
        """Of what is kept of `known`; 0 while nothing is."""
        self.is_changed = False
        """Whether something was seen that is not kept yet."""
        self._flaps: tuple[float, ...] = ()

    def saw(self) -> None:
        """It gave a sign of life."""
        self.seen.last_seen = time.time()
        self.is_changed = True

    def flapped(self) -> None:
        """It came, or became another one."""
        self._flaps = (*self._flaps[1 - FLAPS :], time.monotonic())

    @property
    def is_two(self) -> bool:
        """Whether two devices seem to share the id: they push each other out, or tell different things."""
        flaps = self._flaps
        return len(flaps) == FLAPS and time.monotonic() - flaps[0] < FLAP_S

    @property
    def info(self) -> Info:
        """What it says that it is; made anew each time: a model is far larger than its dict."""
        return Info.model_validate(self.seen.info)

    @property
    def name(self) -> str:
        """What people call it."""
        return self.known.name or self.info.name or self.id

    def described(self) -> dict[str, Any]:
        """As REST and `jota nodes` show it."""
        known, seen = self.known, self.seen
        is_alive = seen.code_until > time.time() and not known.is_approved
        return {
            "id": self.id, "name": self.name, "area": known.area or self.info.area,
            "approved": known.is_approved, "user": known.user, "conversation_id": known.conversation_id,
            "status": seen.status, "last_seen": seen.last_seen or None, "info": seen.info,
            "is_two": self.is_two, "state": seen.state, "last_turn": seen.last_turn, "config": known.config,
            "config_rev": known.rev, "pairing_code": seen.code if is_alive else None,
        }  # fmt: skip

    def kept(self) -> dict[str, Any]:
        """`known` as it is kept."""
        return asdict(self.known)

    def observed(self) -> dict[str, Any]:
        """`seen` as it is kept."""
        return asdict(self.seen)
