"""When to try again: back-off with jitter, and budgets that tell bad luck from a broken thing."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

JITTER = 0.25
"""A delay is cut by up to this share, so that many sections do not knock at once."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Times and budgets of the supervisor; seconds and counts, all above 0."""

    setup_timeout_s: float = 30.0
    hook_timeout_s: float = 2.0
    stop_s: float = 5.0
    """For ending a section's tasks, and again for each of its clean-ups."""
    ready_grace_s: float = 5.0
    """A long task that has run so long counts as up, even if it did not say so."""
    first_retry_s: float = 1.0
    longest_retry_s: float = 60.0
    healthy_s: float = 60.0
    """After so long without trouble the past is forgiven."""
    restart_budget: int = 5
    """Crashes, or offences of hooks, within `budget_window_s`."""
    budget_window_s: float = 600.0
    slow_retry_s: float = 300.0
    """Once a budget is spent: try again so seldom, but never give up."""


class Budget:
    """At most `size` events within `window_s`."""

    def __init__(self, size: int, window_s: float) -> None:
        self._window_s = window_s
        self._spent: deque[float] = deque(maxlen=size)

    def spend(self, now: float) -> bool:
        """Count one event; False when it is the last that the budget holds, or beyond."""
        self._spent.append(now)
        full = len(self._spent) == self._spent.maxlen
        return not full or now - self._spent[0] > self._window_s

    def refill(self) -> None:
        """Forget the past."""
        self._spent.clear()


class Retry:
    """The delays of one thing that is tried again: doubling, jittered, slow once the budget is spent."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._next_s = pace.first_retry_s
        self._crashes = Budget(pace.restart_budget, pace.budget_window_s)
        self.exhausted = False
        """Whether the last delay was the slow one, of a thing that crashed too often."""

    def lasted(self, seconds: float) -> None:
        """It worked for so long before it broke; after a healthy minute the next delay is short again."""
        if seconds >= self._pace.healthy_s:
            self._next_s = self._pace.first_retry_s

    def delay(self, now: float, *, crashed: bool) -> float:
        """Seconds until the next try. Only crashes count against the budget; waiting may last for ever."""
        self.exhausted = crashed and not self._crashes.spend(now)
        if self.exhausted:
            return self._pace.slow_retry_s
        whole = self._next_s
        self._next_s = min(whole * 2, self._pace.longest_retry_s)
        return whole * (1 - JITTER * random.random())  # noqa: S311 - spreads load, guards nothing
