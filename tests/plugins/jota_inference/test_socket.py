"""The client's WebSocket takes frames in any cut, and leaves to websockets what is not a whole text."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from jota_core.api import Place
from jota_core.testing import until
from jota_inference.client.socket import dial

TEXTS = ["", "{}", "ñ" * 70, "x" * 200, "y" * 70_000]


def frame(opcode: Opcode, data: str, *, fin: bool = True) -> bytes:
    return Frame(opcode, data.encode(), fin=fin).serialize(mask=False)


def wire(order: list[int]) -> tuple[bytes, list[bytes]]:
    """Whole texts, a text in three parts with a ping among them, and pongs; and the texts alone."""
    sent, texts = b"", []
    for number in order:
        text = TEXTS[number % len(TEXTS)]
        if number % 3 == 0:
            sent += frame(Opcode.TEXT, text)
        else:
            sent += frame(Opcode.TEXT, "", fin=False) + frame(Opcode.CONT, text, fin=False)
            sent += frame(Opcode.PING, "still there?") + frame(Opcode.CONT, "")
        texts.append(text.encode())
    return sent, texts


@asynccontextmanager
async def server(parts: Callable[[bytes], list[bytes]], later: Sequence[bytes] = ()) -> AsyncIterator[str]:
    """Answers a handshake (given its answer) with these parts, and the client's first word with the later ones."""

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.split(": ")[1] for line in head.splitlines() if line.startswith("Sec-WebSocket-Key"))
        accept = base64.b64encode(
            hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        )
        answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        for part in parts(answer + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"):
            writer.write(part)
            await asyncio.sleep(0)
        try:
            await reader.read(1)
            for part in later:
                writer.write(part)
                await asyncio.sleep(0)
            await reader.read()
        finally:
            writer.close()

    listener = await asyncio.start_server(attend, "127.0.0.1", 0)
    async with listener:
        yield f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


def place(url: str) -> Place:
    parts = urlsplit(url)
    return Place(url, parts.hostname or "", parts.port or 0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 30), max_size=8), st.lists(st.integers(0, 3000), max_size=8))
async def test_texts_are_the_same_in_any_cut(order: list[int], at: list[int]) -> None:
    sent, texts = wire(order)

    def cut(whole: bytes) -> list[bytes]:
        places = sorted({0, len(whole), *(place % (len(whole) + 1) for place in at)})
        return [whole[a:b] for a, b in itertools.pairwise(places)]

    got: list[bytes] = []
    async with server(lambda head: cut(head + frame(Opcode.TEXT, "first")), cut(sent)) as url:
        socket = await dial(place(url), {}, 10)
        assert await socket.recv() == "first"
        socket.on_text = got.append
        await socket.send("go on")
        await until(lambda: len(got) >= len(texts), "every text")
        assert got == texts
        socket.transport.abort()
        await socket.wait_closed()


async def test_a_refusal_is_seen_whole() -> None:
    refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\n"

    async with server(lambda _: [refusal[:20], refusal[20:] + b"f", b"orbidden"]) as url:
        with pytest.raises(InvalidStatus) as refused:
            await dial(place(url), {}, 10)
    assert (refused.value.response.status_code, refused.value.response.body) == (401, b"forbidden")


@pytest.mark.parametrize("bad", [b"\x81\xff" + b"\x7f" * 8, b"\xf1\x02{}", b"\x81\x82abcd{}", b"\x88\x01x"])
async def test_broken_frames_end_the_connection(bad: bytes) -> None:
    async with server(lambda head: [head], [bad]) as url:
        socket = await dial(place(url), {}, 10)
        socket.on_text = lambda text: None
        await socket.send("go on")
        async with asyncio.timeout(5):
            await socket.wait_closed()
        assert socket.protocol.close_sent is not None
        assert socket.protocol.close_sent.code in (1002, 1009)
