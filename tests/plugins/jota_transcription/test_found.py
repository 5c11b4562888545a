"""Ears that are found: the one that leaves and the one that is dead are not waited for while another is there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from benchmarks.spoken import recording
from jota_core.api import TRANSCRIPTION, Prover, ServiceRecord, TranscriptionBackend, destination
from jota_core.testing import until
from jota_transcription.client import spare
from jota_transcription.client.plugin import JotaTranscription
from jota_transcription.client.settings import TranscriptionSettings

from .test_client import Public, heard

TOKEN = "a-token-of-the-test"


class Ours(Public):
    """Proves that it knows the token; `die` cuts its cable."""

    def __init__(self, name: str, load: int) -> None:
        super().__init__()
        self.name = name
        self.load = load
        self.port = 0
        self.open: list[ServerConnection] = []
        self._may_answer = asyncio.Event()
        self._may_answer.set()

    @property
    def record(self) -> ServiceRecord:
        host = f"{self.name}.local"
        txt = {"load": str(self.load)}
        return ServiceRecord(TRANSCRIPTION, self.name, self.name, host, ("127.0.0.1",), self.port, txt)

    async def attend(self, socket: ServerConnection) -> None:
        self.open.append(socket)
        try:
            await super().attend(socket)
        finally:
            self.open.remove(socket)

    async def prove(self, socket: ServerConnection, request: Request) -> Response | None:
        await self._may_answer.wait()
        url = urlsplit(request.path)
        if not url.path.startswith("/.well-known/"):
            return None
        _, proof = Prover(lambda _: TOKEN).answer(dict(parse_qsl(url.query)), socket.local_address)
        return socket.respond(200, proof.decode())

    def die(self) -> None:
        self._may_answer.clear()
        for socket in self.open:
            socket.transport.pause_reading()

    def revive(self) -> None:
        self._may_answer.set()
        for socket in self.open:
            socket.transport.resume_reading()


@asynccontextmanager
async def two_ears() -> AsyncIterator[tuple[Ours, Ours]]:
    """One with nothing to do, and a busy one."""
    both = Ours("idle", 0), Ours("busy", 5)
    async with AsyncExitStack() as stack:
        for each in both:
            server = serve(each.attend, "127.0.0.1", 0, process_request=each.prove)
            listening = await stack.enter_async_context(server)
            each.port = listening.sockets[0].getsockname()[1]
            stack.callback(each.revive)
        yield both


@asynccontextmanager
async def section(*found: Ours, warm: bool = True) -> AsyncIterator[tuple[JotaTranscription, Any]]:
    """A section that has found them, and its ears."""

    async def resolve(host: str) -> tuple[str, ...]:
        return ()

    plugin = JotaTranscription(TranscriptionSettings.model_validate({"url": "discover", "token": TOKEN}))
    (backend,) = plugin.jota_backends()
    for each in found:
        await plugin.jota_service_found(each.record)
    assert isinstance(backend, TranscriptionBackend)
    keeping = asyncio.create_task(backend.keep(logging.getLogger("jota.ears"), resolve)) if warm else None  # type: ignore[attr-defined]  # ours
    try:
        yield plugin, backend
    finally:
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


async def took(backend: Any) -> float:
    """Seconds until an utterance was heard."""
    began = time.monotonic()
    assert (await heard(backend, recording("es-locked")))[-1].is_final
    return time.monotonic() - began


async def test_after_a_goodbye_the_warm_connection_is_not_used_any_more() -> None:
    async with two_ears() as (idle, busy), section(idle, busy) as (plugin, backend):
        await until(lambda: len(idle.open) == 1, "a warm connection")
        await plugin.jota_service_lost(idle.record)
        await took(backend)
        assert (len(idle.frames), len(busy.frames)) == (0, 2)


async def test_who_says_goodbye_while_we_connect_is_not_used_either() -> None:
    async with two_ears() as (idle, busy):
        idle.die()
        async with section(idle) as (plugin, backend):
            await asyncio.sleep(0.1)
            await plugin.jota_service_lost(idle.record)
            idle.revive()
            await plugin.jota_service_found(busy.record)
            await until(lambda: len(busy.open) == 1, "a warm connection")
            await took(backend)
            assert (len(idle.frames), len(busy.frames)) == (0, 2)


async def test_ears_that_die_silently_are_left_for_others_in_the_same_utterance() -> None:
    async with two_ears() as (idle, busy), section(idle, busy) as (_, backend):
        await until(lambda: len(idle.open) == 1, "a warm connection")
        idle.die()
        assert await took(backend) < 2.5
        assert len(busy.frames) == 2


async def test_no_utterance_waits_for_the_dead_without_a_warm_connection_either() -> None:
    async with two_ears() as (idle, busy), section(idle, busy, warm=False) as (_, backend):
        idle.die()
        assert await took(backend) < 1.5
        assert await took(backend) < 0.4, "it is known to be dead now"
        assert len(busy.frames) == 4


async def test_the_dead_are_not_waited_for_at_any_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "FRESH_S", 0.3)
    monkeypatch.setattr(destination, "AVOIDED_S", 0.1)
    async with two_ears() as (idle, busy), section(idle, busy) as (_, backend):
        idle.die()
        await took(backend)
        for _ in range(8):
            await asyncio.sleep(0.35)
            assert await took(backend) < 1.0
