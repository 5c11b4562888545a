"""The pytest plugin: fixtures `run_host` and `no_leaks`. Found by entry point, light to import."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from . import leaks

# Failing contracts then show what they compared, as the tests of a test module do.
pytest.register_assert_rewrite("jota_core.testing.contracts")

HELD_BEFORE = pytest.StashKey[set[leaks.Held]]()

if TYPE_CHECKING:
    from .hosts import RunHost


@pytest.fixture
def run_host(tmp_path: Path, no_leaks: None) -> RunHost:  # noqa: ARG001 - a fixture is asked for by name
    """Real hosts in the test's own folder, for `async with`; see `running_host` for what it takes."""
    from .hosts import running_host

    return partial(running_host, tmp_path)


@pytest.fixture
def no_leaks(request: pytest.FixtureRequest) -> None:
    """Fail the test when it leaves a task, timer, thread, child process, file or socket behind."""
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("_no_leaks_in_loop")
    request.node.stash[HELD_BEFORE] = leaks.held_by_process()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Look once every fixture of the test is gone; a fixture's own end would come before its loop's."""
    yield
    before = item.stash.get(HELD_BEFORE, None)
    if before is not None:
        left = leaks.left_behind(before, leaks.held_by_process)
        assert not left, _sentence(left)


@pytest_asyncio.fixture
async def _no_leaks_in_loop() -> AsyncIterator[None]:
    before = leaks.held_by_loop(asyncio.get_running_loop())
    yield
    left = await leaks.left_in_loop(before)
    assert not left, _sentence(left)


def _sentence(left: list[str]) -> str:
    return "The test left something behind: " + "; ".join(left)
