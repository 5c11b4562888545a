"""Broken, slow, silent and vanished clients, on real sockets."""

from __future__ import annotations

import asyncio
import base64
import socket
import struct
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, cast

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from tests.plugins.jota_http.conftest import OpenDoor, Running


HELLO = (
    b"GET /api/chat/ws/ana HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(b"k" * 16) + b"\r\n\r\n"
)


class Bare:
    """A client that sends whatever it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(5):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                [size] = struct.unpack(">H", await self.reader.readexactly(2))
            elif size == 127:
                [size] = struct.unpack(">Q", await self.reader.readexactly(8))
            return first & 15, await self.reader.readexactly(size)

    async def close_code(self) -> int:
        while True:
            opcode, data = await self.frame()
            if opcode == 8:
                return int.from_bytes(data[:2], "big")

    def stop_reading(self) -> None:
        cast(asyncio.Transport, self.writer.transport).pause_reading()

    async def text(self, text: bytes, first: int = 0x81) -> None:
        self.writer.write(masked(first, text))
        await self.writer.drain()


def masked(first: int, data: bytes) -> bytes:
    if len(data) < 126:
        return bytes((first, 0x80 | len(data), 0, 0, 0, 0)) + data
    if len(data) < 65536:
        return bytes((first, 0x80 | 126)) + struct.pack(">H", len(data)) + bytes(4) + data
    return bytes((first, 0x80 | 127)) + struct.pack(">Q", len(data)) + bytes(4) + data


async def bare(door: Running, **options: Any) -> Bare:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, **options)
    writer.write(HELLO)
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    client = Bare(reader, writer)
    assert b"session" in (await client.frame())[1]
    return client


@pytest.fixture
async def client(door: Running) -> AsyncIterator[Bare]:
    client = await bare(door)
    yield client
    client.writer.transport.abort()
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05hello", 1002),  # not masked
        (masked(0xF1, b"x"), 1002),  # reserved bits
        (masked(0x83, b"x"), 1002),  # unknown opcode
        (masked(0x80, b"x"), 1002),  # a continuation of nothing
        (masked(0x01, b"a") + masked(0x81, b"b"), 1002),  # a message inside a message
        (masked(0x09, b"x"), 1002),  # a ping in pieces
        (masked(0x89, b"x" * 126), 1002),  # a ping that is too long
        (masked(0x88, b"\x03"), 1002),  # half a close code
        (masked(0x81, b"\xff\xfe"), 1007),  # not UTF-8
        (masked(0x01, b"\xc3") + masked(0x80, b"x"), 1007),  # not UTF-8 once put together
        (masked(0x81, b"x" * (17 << 20)), 1009),  # 17 MB
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, bytes) else None,
)
async def test_broken_frames_get_their_close_code(client: Bare, data: bytes, code: Any) -> None:
    client.writer.write(data)
    assert await client.close_code() == code
    async with asyncio.timeout(3):
        assert await client.reader.read() == b""


async def test_too_large_is_told_before_the_close(client: Bare) -> None:
    client.writer.write(masked(0x81, b"x" * (2 << 20)))
    _, data = await client.frame()
    assert b'"too_large"' in data


async def test_fragments_and_pings_between_them(client: Bare) -> None:
    client.writer.write(
        masked(0x01, "say ñ".encode()[:5]) + masked(0x89, b"p") + masked(0x80, "say ñ".encode()[5:])
    )
    assert await client.frame() == (10, b"p")
    assert b'"turn"' in (await client.frame())[1]
    assert "ñ".encode() in (await client.frame())[1]


async def test_words_sent_together_with_the_handshake_are_not_lost(door: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(HELLO + masked(0x81, b"say early"))
    await reader.readuntil(b"\r\n\r\n")
    client = Bare(reader, writer)
    seen = [(await client.frame())[1] for _ in range(3)]
    assert b"session" in seen[0]
    assert b"early" in seen[2]
    writer.transport.abort()


async def test_close_is_answered(client: Bare) -> None:
    client.writer.write(masked(0x88, b"\x03\xe8"))
    assert await client.close_code() == 1000
    assert await client.reader.read() == b""


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
async def test_vanished_app_is_noticed_while_the_server_is_silent(door: Running, reset: bool) -> None:
    client = await bare(door)
    await client.text(b"stay")
    await client.frame()
    if reset:
        client.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    gone = asyncio.get_running_loop().time()
    client.writer.transport.abort()
    assert await door.session_closed() - gone < 0.25


async def test_half_closed_app_counts_as_gone(door: Running) -> None:
    client = await bare(door)
    await client.text(b"stay")
    await client.frame()
    client.writer.write_eof()
    await door.session_closed(within_s=0.5)
    client.writer.transport.abort()


async def test_client_that_does_not_read_is_cut_and_others_are_not(open_door: OpenDoor) -> None:
    async with open_door(slow_s=0.3) as door, connect(door.ws + "/ws/chat/eva") as other:
        client = await bare(door, limit=1024)
        client.stop_reading()
        await client.text(b"flood 100000")
        await door.session_closed(1)
        assert door.host.opened[1].sent < 3000, "a few kernel buffers at most, not the hundred megabytes"
        await other.send("say still here")
        assert await other.recv() == "still"
        client.writer.transport.abort()


async def test_slow_client_that_reads_gets_everything(door: Running) -> None:
    async with connect(door.ws + "/ws/chat/ana", max_queue=4) as app:
        await app.send("flood 3000")
        await asyncio.sleep(0.2)
        for _ in range(3000):
            assert len(await app.recv()) == 1000


async def test_flood_of_pings_from_a_client_that_does_not_read_is_bounded(open_door: OpenDoor) -> None:
    async with open_door(slow_s=0.5) as door:
        client = await bare(door, limit=1024)
        client.stop_reading()
        pings = masked(0x89, b"p" * 125) * 500
        try:
            async with asyncio.timeout(5):
                while True:
                    client.writer.write(pings)
                    await client.writer.drain()
        except ConnectionError:
            pass
        await door.session_closed()


async def test_silent_client_is_pinged_and_dead_one_cut(open_door: OpenDoor) -> None:
    async with open_door(heartbeat_s=1) as door:
        client = await bare(door)
        assert (await client.frame())[0] == 9
        await door.session_closed(within_s=4)
        client.writer.transport.abort()


async def test_living_client_is_kept(open_door: OpenDoor) -> None:
    async with open_door(heartbeat_s=1) as door, connect(door.ws + "/ws/chat/ana") as app:
        await asyncio.sleep(3.2)
        await app.send("say here")
        assert await app.recv() == "here"


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", HELLO[:60]], ids=["nothing", "half a line", "half a handshake"]
)
async def test_slow_handshake_is_cut(open_door: OpenDoor, sent: bytes) -> None:
    async with open_door(handshake_s=0.3) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(sent)
        async with asyncio.timeout(3):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
async def test_garbage_gets_400_and_hurts_nobody(
    door: Running, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(sent + b"\r\n\r\n")
    async with asyncio.timeout(3):
        assert b" 400 " in await reader.readline()
    writer.close()
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]


async def test_too_many_connections_get_503(open_door: OpenDoor) -> None:
    async with open_door(max_connections=2) as door:
        first, second = await bare(door), await bare(door)
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        assert b" 503 " in await reader.readline()
        writer.close()
        first.writer.transport.abort()
        await door.session_closed(0)
        third = await bare(door)
        for client in (second, third):
            client.writer.transport.abort()


async def test_stopping_tells_everyone(open_door: OpenDoor) -> None:
    async with open_door() as door:
        app = await connect(door.ws + "/ws/chat/ana")
        door.serving.cancel()
        with pytest.raises(ConnectionClosed) as closed:
            await app.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "server_restart")


async def test_draining_lets_answers_end(open_door: OpenDoor) -> None:
    async with open_door() as door:
        idle, busy = await connect(door.ws + "/ws/chat/a"), await connect(door.ws + "/ws/chat/b")
        await busy.send("stay")
        await asyncio.sleep(0.05)
        await door.plugin.jota_draining()
        with pytest.raises(ConnectionClosed):
            await idle.recv()
        assert not door.host.opened[1].closed_at
        door.host.opened[1].cancel()
        assert "[Error: The turn was cancelled.]" in await busy.recv()
        with pytest.raises(ConnectionClosed):
            await busy.recv()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", door.port)
