"""Every test gives back what it opened; two run at once, but never two that need a core for themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

STRESS = Path(__file__).with_name("stress")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For `pytest -n 2 --dist loadgroup`: a file stays together, and engines and stress run one after the other."""
    for item in items:
        is_busy = item.get_closest_marker("model") or STRESS in item.path.parents
        item.add_marker(pytest.mark.xdist_group("busy" if is_busy else str(item.path)))


@pytest.fixture(autouse=True)
def nothing_left_behind(no_leaks: None) -> None:
    """Tasks, timers, threads, child processes, files and sockets are back to their base, or are named."""
