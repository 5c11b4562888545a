"""Every test gives back what it opened; two run at once, but never two that need a core for themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

BUSY = "engines and stress"


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist carries no types
    """For `pytest -n 2`: a file stays together, and engines and stress run one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return BUSY if _is_busy(self.config.rootpath / file) else file


def _is_busy(file: Path) -> bool:
    """By its text: who shares the tests out has not read them."""
    return file.parent.name == "stress" or "mark.model" in file.read_text()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Xdist's own groups by marker do not work with this pytest."""
    return ByFile(config, log)


@pytest.fixture(autouse=True)
def nothing_left_behind(no_leaks: None) -> None:
    """Tasks, timers, threads, child processes, files and sockets are back to their base, or are named."""
