"""A host that is only a Transcription API, with the real base model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jota_core.host import Host
from jota_core.testing import RunHost, free_port
from jota_whisper.models import WhisperShelf

Api = Callable[..., AbstractAsyncContextManager[tuple[Host, int]]]


def silent(doing: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def api(run_host: RunHost, tmp_path: Path) -> Api:
    @asynccontextmanager
    async def running(port: int = 0, **settings: Any) -> AsyncIterator[tuple[Host, int]]:
        port = port or free_port()
        WhisperShelf().pull("whisper-base", tmp_path / "data", silent)
        door = {"plugin": "jota_transcription_api", "listen": f"127.0.0.1:{port}", **settings}
        ears = {"plugin": "jota_whisper", "language": "es", "final_wait_s": 30}
        plugins = {"ears": ears, "door": door}
        config = {"host": {"data": str(tmp_path / "data")}, "plugins": plugins}
        async with run_host(config, memory=False) as host:
            async with asyncio.timeout(30):
                while not host.sessions.transcription.available:
                    await asyncio.sleep(0.02)
            yield host, port

    return running
