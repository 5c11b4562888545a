"""Waiting in tests: for a fact, not for a time, and never for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LIMIT_S = 5.0
STEP_S = 0.002


async def until(fact: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
    """Wait until `fact()` is true. Raises `AssertionError` saying `what` did not come."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limit_s
    while not fact():
        if loop.time() > end:
            raise AssertionError(f"Waited {limit_s:g} s for {what}; it did not come.")
        await asyncio.sleep(STEP_S)
