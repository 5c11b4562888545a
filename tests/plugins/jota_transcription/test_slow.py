"""Clients that do not read what they are told: bounded, cut with a code, and nobody else notices."""

from __future__ import annotations

import asyncio
import logging
import socket as sockets
from contextlib import suppress

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.spoken import recording
from jota_core.testing import until

from .conftest import Api

pytestmark = pytest.mark.model
CONFIG = '{"type":"config","language":"es"}'


async def deaf(port: int) -> ClientConnection:
    """A client that never reads, with little room for what it is told."""
    plug = sockets.socket()
    plug.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    plug.connect(("127.0.0.1", port))
    client = await connect(f"ws://127.0.0.1:{port}/", sock=plug, close_timeout=0.1)
    client.transport.pause_reading()
    return client


def held(port: int) -> int:
    """Connections that the server's side still holds."""
    found = psutil.Process().net_connections("tcp")
    return sum(each.laddr[1] == port and each.status == "ESTABLISHED" for each in found)


async def ask_for_ever(client: ClientConnection) -> None:
    with suppress(ConnectionClosed, ConnectionError):
        while True:
            await client.send('{"type":"' + "x" * 1000 + '"}')


async def test_who_asks_and_does_not_read_is_cut(api: Api) -> None:
    async with api(send_s=0.3) as (_, port), connect(f"ws://127.0.0.1:{port}/") as other:
        client, before = await deaf(port), psutil.Process().memory_info().rss
        async with asyncio.timeout(60):
            await ask_for_ever(client)
        await until(lambda: held(port) == 1, "the cut", 20)
        assert psutil.Process().memory_info().rss - before < 30_000_000
        await other.send(CONFIG)
        assert "ready" in str(await other.recv())
        await client.wait_closed()


async def test_who_reads_after_all_finds_the_code(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with api(send_s=0.3) as (_, port):
        client = await deaf(port)
        asking = asyncio.create_task(ask_for_ever(client))
        await until(lambda: "slow_consumer" in caplog.text, "the end of its patience", 30)
        client.transport.resume_reading()
        with pytest.raises(ConnectionClosed):
            while True:
                await client.recv()
        assert (client.close_code, client.close_reason) == (1013, "slow_consumer")
        await asking


async def test_who_speaks_and_does_not_read_costs_no_more_than_others(api: Api) -> None:
    async with api(idle_s=1.0, send_s=0.3) as (_, port):
        client = await deaf(port)
        await client.send(CONFIG)
        for _ in range(4):
            with suppress(ConnectionClosed):
                await client.send(recording("es-echo")[:32_000].tobytes())
        await client.send('{"type":"end"}')
        await until(lambda: held(port) == 0, "the end", 120)
        client.transport.abort()
        await client.wait_closed()
