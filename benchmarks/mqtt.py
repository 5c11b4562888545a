"""MQTT 3.1.1 by hand, as much as a node needs: a client library would cost more than what is measured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from struct import pack
from typing import cast

CONNACK, PUBLISH, PUBACK, SUBACK = 0x20, 0x30, 0x40, 0x90
Take = Callable[[str, bytes], None]


class Line(asyncio.Protocol):
    """One connection. `take` gets topic and payload of each message, which is acknowledged at once."""

    def __init__(self, id_: str, take: Take) -> None:
        self.id = id_
        self._take = take
        self._buffer = b""
        self._mid = 0
        self._transport: asyncio.Transport
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # Half an hour without a sign of life: the broker in the box hangs up on who promises none.
        self._transport.write(_packet(0x10, b"\0\4MQTT\4\2\7\x08" + _text(self.id)))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answered.done():
            self._answered.set_exception(ConnectionError("The broker hung up."))

    async def ready(self, topics: tuple[str, ...]) -> None:
        """Until it is connected and has subscribed."""
        await self._answered
        self._answered = asyncio.get_running_loop().create_future()
        wishes = b"".join(_text(topic) + b"\1" for topic in topics)
        self._transport.write(_packet(0x82, pack(">H", 1) + wishes))
        await self._answered

    def publish(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False) -> None:
        """Send it, and do not wait."""
        mid = b""
        if qos:
            self._mid = self._mid % 65_535 + 1
            mid = pack(">H", self._mid)
        self._transport.write(_packet(PUBLISH | qos << 1 | retain, _text(topic) + mid + payload))

    def close(self) -> None:
        """Hang up in good order."""
        self._transport.write(b"\xe0\0")
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (found := _first(self._buffer)) is not None:
            begin, end = found
            head, body = self._buffer[0], self._buffer[begin:end]
            self._buffer = self._buffer[end:]
            self._packet(head, body)

    def _packet(self, head: int, body: bytes) -> None:
        kind = head & 0xF0
        if kind == PUBLISH:
            at = 2 + int.from_bytes(body[:2])
            topic = body[2:at].decode()
            if head & 6:
                self._transport.write(_packet(PUBACK, body[at : at + 2]))
                at += 2
            self._take(topic, body[at:])
        elif kind in (CONNACK, SUBACK) and not self._answered.done():
            self._answered.set_result(None)


def _text(text: str) -> bytes:
    data = text.encode()
    return pack(">H", len(data)) + data


def _packet(head: int, body: bytes) -> bytes:
    length, size = b"", len(body)
    while True:
        size, low = size >> 7, size & 127
        length += bytes((low | (0x80 if size else 0),))
        if not size:
            return bytes((head,)) + length + body


def _first(buffer: bytes) -> tuple[int, int] | None:
    """Where the body of the first packet begins and ends, once all of it is there."""
    size = 0
    for place in range(1, min(5, len(buffer))):
        size |= (buffer[place] & 127) << 7 * (place - 1)
        if buffer[place] < 0x80:
            end = place + 1 + size
            return (place + 1, end) if len(buffer) >= end else None
    return None
