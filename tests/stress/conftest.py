"""Real `jota run` processes with the scripted backend, real SQLite, keys, metrics and five hook plugins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from benchmarks.process import Server, host


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One host for all tests of a module; it must survive all of them and stop in good order."""
    folder: Path = tmp_path_factory.mktemp("host")
    log = folder / "log"
    with host(folder, settings={"plugins.app.slow_s": 2, "plugins.app.handshake_s": 2}, log=log) as running:
        running.ready()
        yield running
        assert running.stop() == 0
    assert "Traceback" not in log.read_text()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client without a limit of connections."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session
