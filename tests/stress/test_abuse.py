"""Load and abuse: everyone is answered exactly once, nothing is left behind, bystanders notice nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from benchmarks.process import KEY, Server
from benchmarks.sockets import HANDSHAKE, text_frame

from .app import App, Heard, scripted, sessions_become, until

GROWN_BYTES = 12_000_000
GAP_S = 0.5
"""Between two tokens of a bystander who is sent thirty a second, on a machine that is busy with tests."""

GARBAGE = {
    "nothing": b"",
    "noise": bytes(range(256)) * 8,
    "half a request": b"GET /api/v1/ws/chat/broken HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "a header without end": b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
}
HALF_A_BODY = b"POST /api/v1/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n{"
BROKEN_FRAMES = {
    "not masked": b"\x81\x05hello",
    "reserved bits": b"\xf1\x85\0\0\0\0hello",
    "unknown opcode": b"\x83\x85\0\0\0\0hello",
    "fragmented ping": b"\x09\x85\0\0\0\0hello",
    "continuation of nothing": b"\x80\x85\0\0\0\0hello",
    "not UTF-8": b"\x81\x82\0\0\0\0\xff\xfe",
    "17 MB announced": b"\x81\xff" + (17 * 2**20).to_bytes(8, "big") + bytes(4),
    "half a frame": b"\x81\x85\0\0\0\0he",
    "close code 1005": b"\x88\x82\0\0\0\0\x03\xed",
}


async def knock(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A bare connection."""
    return await asyncio.open_connection("127.0.0.1", server.port)


@asynccontextmanager
async def bystander(http: aiohttp.ClientSession, server: Server, seconds: int) -> AsyncIterator[None]:
    """Another user, who reads a long answer meanwhile and must not notice anything."""
    async with App(http, server, "bystander") as app:
        reading = asyncio.ensure_future(app.ask(f"tokens={seconds * 30} pace=30"))
        try:
            yield
            heard = await reading
        finally:
            reading.cancel()
    assert heard.text == scripted(seconds * 30)
    assert heard.widest_gap_s() < GAP_S


async def test_150_prompts_at_once_are_all_answered_exactly_once(
    server: Server, http: aiohttp.ClientSession
) -> None:
    async def one(index: int) -> tuple[App, Heard]:
        async with App(http, server, f"crowd{index}") as app:
            heard = await app.ask(f"number {index} tokens=20 pace=30")
            assert await app.nothing_more(0.3)
            return app, heard

    met = await asyncio.gather(*(one(index) for index in range(150)))
    for app, heard in met:
        assert heard.turn is not None and heard.end is not None
        assert heard.text == scripted(20)
        assert (heard.end["type"], heard.end["outcome"], heard.end["persisted"]) == ("end", "complete", True)
        question, answer = await app.stored()
        assert (question["id"], question["content"]) == (heard.turn["message_id"], heard.prompt)
        assert (answer["id"], answer["content"]) == (heard.end["message_id"], heard.text)
    assert len({heard.turn["turn_id"] for _, heard in met if heard.turn}) == 150


async def test_several_prompts_without_waiting_are_served_in_order(
    server: Server, http: aiohttp.ClientSession
) -> None:
    async with App(http, server, "impatient") as app:
        for index in range(8):
            await app.socket.send_str(f"number {index} tokens={index + 1} pace=0")
        answers: list[int] = []
        while len(answers) < 8:
            frame = await app.frame()
            if frame["type"] == "end":
                answers.append(frame["stats"]["tokens"])
    assert answers == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_200_drops_in_mid_answer_leave_nothing_behind(
    server: Server, http: aiohttp.ClientSession
) -> None:
    async def drop(index: int) -> App:
        app = App(http, server, f"drop{index}")
        await app.__aenter__()
        await app.socket.send_str("tokens=3000 pace=30")
        while (await app.frame())["type"] != "token":
            pass
        transport = app.socket.get_extra_info("socket")
        transport.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # RST, no goodbye
        app.socket._response.close()  # aiohttp knows only polite ends
        return app

    await asyncio.gather(*(drop(index) for index in range(20)))
    assert await sessions_become(http, server, 0)
    files, threads, memory = server.files(), server.threads(), server.rss_bytes()
    for wave in range(10):
        apps = await asyncio.gather(*(drop(20 + wave * 20 + index) for index in range(20)))
    assert await sessions_become(http, server, 0)
    assert await until(lambda: server.files() <= files + 2), f"{server.files()} files, {files} before"
    assert server.threads() <= threads + 2
    assert server.rss_bytes() - memory < GROWN_BYTES
    question, answer = await apps[0].stored()
    assert question["role"] == "user"
    assert (answer["outcome"], answer["content"][-13:]) == ("interrupted", "[INTERRUPTED]")


async def test_a_slow_reader_is_cut_and_bystanders_are_unharmed(
    server: Server, http: aiohttp.ClientSession
) -> None:
    assert await sessions_become(http, server, 0)
    before = server.rss_bytes()
    async with bystander(http, server, 6):
        path = "/api/v1/ws/chat/slow?frames=json"
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", server.port))
        slow.sendall(HANDSHAKE.format(path=path, key=KEY).encode() + text_frame("tokens=3000000 pace=0"))
        assert await sessions_become(http, server, 2)
        assert await sessions_become(http, server, 1), "the slow reader was not cut"
        assert server.rss_bytes() - before < GROWN_BYTES
        slow.close()


@pytest.mark.parametrize("frame", BROKEN_FRAMES.values(), ids=BROKEN_FRAMES.keys())
async def test_broken_frames_end_only_their_own_connection(
    server: Server, http: aiohttp.ClientSession, frame: bytes
) -> None:
    reader, writer = await knock(server)
    handshake = HANDSHAKE.format(path="/api/v1/ws/chat/broken?frames=json", key=KEY)
    writer.write(handshake.encode() + frame)
    await reader.readuntil(b"\r\n\r\n")
    if frame == BROKEN_FRAMES["half a frame"]:
        writer.write_eof()
    async with asyncio.timeout(10):
        await reader.read()
    writer.close()
    assert server.ready() > 0


async def test_broken_clients_are_cut_and_bystanders_are_unharmed(
    server: Server, http: aiohttp.ClientSession
) -> None:
    files = server.files()
    async with bystander(http, server, 5):
        knocks = [await knock(server) for _ in range(10) for _ in GARBAGE]
        for (_, writer), garbage in zip(knocks, list(GARBAGE.values()) * 10, strict=True):
            writer.write(garbage)
        hanging = [await knock(server) for _ in range(10)]
        for _, writer in hanging:
            writer.write(HALF_A_BODY)
        for reader, _ in knocks:
            async with asyncio.timeout(10):
                await _read_all(reader)
        for _, writer in knocks + hanging:
            writer.close()
    assert await until(lambda: server.files() <= files + 3), f"{server.files()} files, {files} before"


async def _read_all(reader: asyncio.StreamReader) -> None:
    try:
        await reader.read()
    except ConnectionError:
        pass  # a reset is an end as well
