"""Raw connections that cost a client little: WebSocket and HTTP, parsed only as far as counted."""

from __future__ import annotations

import asyncio
import re
from array import array
from time import monotonic_ns, perf_counter
from typing import cast

TOKENS = (b'{"type":"token"', b'{"type": "token"')
ENDS = (b'{"type":"end"', b'{"type": "end"')
FAILURES = (b'{"type":"error"', b'{"type":"aborted"')
SENT = re.compile(rb'"content": ?" (\d+)"')
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nx-client-key: {key}\r\n\r\n"
)


class Tally:
    """What all connections of one job have seen."""

    def __init__(self) -> None:
        self.tokens = 0
        self.ended = 0
        self.failed = 0
        self.closed = 0
        self.waits = array("d")
        """Seconds from each prompt to its first token."""
        self.delays: array[float] | None = None
        """Milliseconds that each token travelled, if that is wanted; its text says when it was sent."""


def text_frame(text: str) -> bytes:
    """A client's frame; a mask of zeros is a mask, and costs nothing."""
    data = text.encode()
    size = len(data)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + bytes(4) + data


class WebSocket(asyncio.Protocol):
    """One app: asks, counts tokens, answers pings."""

    __slots__ = ("_asked", "_tail", "_tally", "done", "opened", "transport")

    def __init__(self, tally: Tally, path: str, key: str) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[None] | None = None
        self._tally = tally
        self._tail = HANDSHAKE.format(path=path, key=key).encode()
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._tail)
        self._tail = b""

    def count_in(self, tally: Tally) -> None:
        """From now on another job is counted."""
        self._tally = tally

    async def ask(self, frame: bytes) -> None:
        """Send one prompt and wait for the end of its answer."""
        self.done = asyncio.get_running_loop().create_future()
        self._asked = perf_counter()
        self.transport.write(frame)
        await self.done

    def data_received(self, data: bytes) -> None:
        data = self._tail + data if self._tail else data
        if not self.opened.done():
            data = self._handshake(data)
        at, size = 0, len(data)
        while size - at >= 4:
            length, head = data[at + 1], 2
            if length == 126:
                length, head = data[at + 2] << 8 | data[at + 3], 4
            if at + head + length > size:
                break
            self._frame(data, data[at], at + head, at + head + length)
            at += head + length
        if size - at in (2, 3) and data[at + 1] == 0:
            self._frame(data, data[at], at + 2, at + 2)
            at += 2
        self._tail = data[at:]

    def _handshake(self, data: bytes) -> bytes:
        head, gap, rest = data.partition(b"\r\n\r\n")
        if not gap:
            return data
        if head.startswith(b"HTTP/1.1 101"):
            self.opened.set_result(None)
        else:
            self.opened.set_exception(ConnectionError(head.decode("latin-1").splitlines()[0]))
        return rest

    def _frame(self, data: bytes, kind: int, start: int, end: int) -> None:
        if data.startswith(TOKENS, start, end):
            self._tally.tokens += 1
            if self._tally.delays is not None and (sent := SENT.search(data, start, end)):
                self._tally.delays.append((monotonic_ns() - int(sent[1])) / 1e6)
            if self._asked:
                self._tally.waits.append(perf_counter() - self._asked)
                self._asked = 0.0
        elif data.startswith(ENDS, start, end):
            self._tally.ended += 1
            self._finish()
        elif data.startswith(FAILURES, start, end):
            self._tally.failed += 1
            self._finish()
        elif kind == 0x89:
            self.transport.write(b"\x8a\x80\0\0\0\0")

    def _finish(self) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.closed += 1
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("closed during the handshake"))
        if self.done is not None and not self.done.done():
            self.done.set_exception(ConnectionError("closed during an answer"))


class Http(asyncio.Protocol):
    """One keep-alive connection that sends a request as soon as the last one is answered."""

    def __init__(self, request: bytes, count: int) -> None:
        self._request = request
        self._left = count
        self._data = b""
        self.good = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, gap, body = self._data.partition(b"\r\n\r\n")
        found = LENGTH.search(head)
        if not gap or found is None or len(body) < int(found[1]):
            return
        self._data = b""
        self.good += head.startswith(b"HTTP/1.1 200")
        self._left -= 1
        if self._left:
            self._transport.write(self._request)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)
