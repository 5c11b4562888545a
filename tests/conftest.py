"""Every test gives back what it opened."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def nothing_left_behind(no_leaks: None) -> None:
    """Tasks, timers, threads, child processes, files and sockets are back to their base, or are named."""
