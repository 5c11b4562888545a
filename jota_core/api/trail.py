"""The trail: which turn the running code works for. Log lines and wires carry it from door to backend."""

from __future__ import annotations

import re
from contextvars import ContextVar

turn_under_way: ContextVar[str] = ContextVar("turn_under_way", default="")
"""Id of the turn; empty outside of turns."""
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def follow(turn_id: object) -> None:
    """From here on this task works for a turn that another machine has named; what is no id is ignored."""
    if isinstance(turn_id, str) and _ID.fullmatch(turn_id):
        turn_under_way.set(turn_id)
