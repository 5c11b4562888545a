"""The trail: which turn the running code works for, and whose it is; logs and wires carry it."""

from __future__ import annotations

import re
from contextvars import Context, ContextVar

turn_under_way: ContextVar[str] = ContextVar("turn_under_way", default="")
"""Id of the turn; empty outside of turns."""
section_at_work: ContextVar[str] = ContextVar("section_at_work", default="")
"""The section whose code runs, or whose request is answered; empty where that is the core's own."""
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def follow(turn_id: object) -> None:
    """From here on this task works for a turn that another machine has named; what is no id is ignored."""
    if isinstance(turn_id, str) and _ID.fullmatch(turn_id):
        turn_under_way.set(turn_id)


def trail() -> Context:
    """A new context that holds the trail and nothing else."""
    context = Context()
    for each in (turn_under_way, section_at_work):
        if known := each.get():
            context.run(each.set, known)
    return context
