"""Two hosts in one process: an Inference Center, and an orchestrator that uses it over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jota_core.api import InferenceBackend
from jota_core.host import Host
from jota_core.testing import ScriptedBackend, free_port, running_host
from jota_inference.client.backend import FarBackend
from jota_inference.client.plugin import JotaInference

KEY = "a-key-of-the-test-0123456789"


class Orchestrator:
    """A host whose section `llm` is the client."""

    def __init__(self, host: Host, backend: FarBackend) -> None:
        self.host = host
        self.backend = backend


Orchestrate = Callable[..., AbstractAsyncContextManager[Orchestrator]]
RunCenter = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def orchestrate(tmp_path: Path) -> Orchestrate:
    """Runs a host that uses the center at `url`; further settings are the section's."""

    @asynccontextmanager
    async def running(
        url: str, core: dict[str, Any] | None = None, **settings: Any
    ) -> AsyncIterator[Orchestrator]:
        made: list[JotaInference] = []

        class Seen(JotaInference):
            def __init__(self, given: Any) -> None:
                super().__init__(given)
                made.append(self)

        folder = tmp_path / f"orchestrator-{free_port()}"
        folder.mkdir()
        section = {"url": url, "client_id": "orch-1", "key": KEY, **settings}
        async with running_host(
            folder, {**(core or {}), "plugins": {"llm": section}}, plugins={"llm": Seen}
        ) as host:
            (backend,) = made[0].jota_backends()
            assert isinstance(backend, FarBackend)
            yield Orchestrator(host, backend)

    return running


@pytest.fixture
def run_center(tmp_path: Path) -> RunCenter:
    """Runs a center over a backend and gives its URL."""

    @asynccontextmanager
    async def running(
        backend: InferenceBackend | str = "Scripted answer.", port: int | None = None, **settings: Any
    ) -> AsyncIterator[str]:
        port = port or free_port()
        folder = tmp_path / f"center-{free_port()}"
        folder.mkdir()
        given = ScriptedBackend(backend) if isinstance(backend, str) else backend
        section = {"plugin": "jota_inference_center", "listen": f"127.0.0.1:{port}", "keys": {"orch-1": KEY}}
        config = {"host": {"drain_s": 0.1}, "plugins": {"center": {**section, **settings}}}
        async with running_host(folder, config, plugins={"llm": given}, memory=False):
            yield f"ws://127.0.0.1:{port}/api/inference"

    return running
