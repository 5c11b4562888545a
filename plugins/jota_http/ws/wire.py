"""One WebSocket connection: bytes in and out, bounded both ways."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol, cast

from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol as WebSocketProtocol

from jota_core.api import ReminderDue

from ..census import Census

HIGH_WATER = 128 * 1024
"""So many bytes wait for a slow client before whoever writes has to wait; the kernel holds as many again."""
GOODBYE_S = 1.0
"""A closing client gets this long to take what is left."""
CHUNK = 16 * 1024
"""So many bytes of one pass are written at once, so that the transport can say that it is full."""
PING = b"\x89\x00"
SHORT = tuple(bytes((0x81, size)) for size in range(126))
"""Headers of unmasked, final text frames by length."""

log = logging.getLogger(__name__)
quiet = logging.getLogger(f"{__name__}.protocol")
quiet.setLevel(logging.WARNING)


class Listener(Protocol):
    """Whoever talks over a wire."""

    def text_received(self, text: str) -> None: ...
    def binary_received(self, data: bytes) -> None: ...
    def too_large(self, limit: int) -> None: ...
    def too_slow(self) -> None: ...
    def draining(self) -> None: ...
    def wire_lost(self) -> None: ...
    def reminded(self, due: ReminderDue) -> None: ...


class Wire(asyncio.Protocol):
    """Takes a TCP connection over after the handshake.

    The websockets library checks everything that comes in and says what RFC 6455 answers; text that
    goes out is framed here, because it is the token path. There is no task for a connection.
    """

    __slots__ = (
        "_alive",
        "_are_text",
        "_drained",
        "_listener",
        "_out",
        "_parts",
        "_pinged",
        "_size",
        "_slow",
        "_slow_s",
        "_timer",
        "_write",
        "census",
        "is_full",
        "is_open",
        "protocol",
        "transport",
    )

    def __init__(
        self, protocol: WebSocketProtocol, listener: Listener, census: Census, slow_s: float
    ) -> None:
        self.protocol = protocol
        self.census = census
        self.is_open = False
        self.is_full = False
        """Whether `drained` must be awaited before more is sent."""
        self._out: list[bytes] = []
        self._size = 0
        self._listener = listener
        self._slow_s = slow_s
        self._alive = True
        self._pinged = False
        self._parts: bytearray | None = None
        self._are_text = True
        self._slow: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None

    def open(self, transport: asyncio.Transport, handshake: bytes) -> None:
        """Take a connection over; `handshake` is our last word in HTTP."""
        self.transport = transport
        self._write: Callable[[bytes], None] = transport.write
        transport.set_write_buffer_limits(HIGH_WATER, HIGH_WATER // 4)
        transport.set_protocol(self)
        transport.write(handshake)
        self.is_open = True
        self.census.joined(self)

    def send(self, payload: bytes) -> None:
        """Send one text frame; nothing happens once the wire is closed.

        Frames of one pass of the event loop leave together in one write, which costs a quarter of
        a write for each.
        """
        if self.is_open:
            size = len(payload)
            if not self._out:
                self.census.flush_soon(self)
            self._out.append((SHORT[size] if size < 126 else long_header(size)) + payload)
            self._size += size
            if self._size > CHUNK:
                self.flush()

    def send_binary(self, payload: bytes) -> None:
        """Send one binary frame, behind the text before it."""
        if self.is_open:
            header = SHORT[len(payload)] if len(payload) < 126 else long_header(len(payload))
            self.flush()
            self._write(b"\x82" + header[1:] + payload)

    def flush(self) -> None:
        """Hand the frames of this pass to the transport."""
        if self._out:
            data = b"".join(self._out)
            self._out.clear()
            self._size = 0
            self._write(data)

    async def drained(self) -> None:
        """Wait until the client has read enough, or is gone."""
        if self.is_full:
            if self._drained is None or self._drained.done():
                self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def close(self, code: int, reason: str) -> None:
        """Say goodbye; the connection is cut when the client does not answer soon."""
        if self.is_open:
            self.is_open = False
            self.protocol.send_close(code, reason)
            self._answer()

    def drain(self) -> None:
        """The host stops: nobody whom we owe nothing needs to stay."""
        self._listener.draining()

    def remind(self, due: ReminderDue) -> None:
        """A reminder's time has come; whoever listens knows whether it is theirs."""
        if self.is_open:
            self._listener.reminded(due)

    def heartbeat(self) -> None:
        """Called now and then: ping a silent client, cut a dead one."""
        if self._alive:
            self._alive = self._pinged = False
        elif self._pinged:
            self.cut()
        elif self.is_open:
            self._pinged = True
            self._write(PING)

    def cut(self) -> None:
        """End the connection at once; what was not sent yet is dropped."""
        self.is_open = False
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._alive = True
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            self._frame_received(cast(Frame, event))
        if isinstance(self.protocol.parser_exc, PayloadTooBig) and self.is_open:
            self._listener.too_large(cast(int, self.protocol.max_message_size))
        self._answer()

    def _frame_received(self, frame: Frame) -> None:
        """Put fragments together; answer bad text as the standard wants."""
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._are_text = frame.opcode is Opcode.TEXT
            if frame.fin:
                self._message_received(bytes(frame.data))
            else:
                self._parts = bytearray(frame.data)
        elif frame.opcode is Opcode.CONT and self._parts is not None:
            self._parts += frame.data
            if frame.fin:
                whole, self._parts = bytes(self._parts), None
                self._message_received(whole)

    def _message_received(self, data: bytes) -> None:
        if self._are_text:
            self._text_received(data)
        elif self.is_open:
            self._listener.binary_received(data)

    def _text_received(self, data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.protocol.fail(CloseCode.INVALID_DATA, "text must be UTF-8")
        else:
            if self.is_open:
                self._listener.text_received(text)

    def _answer(self) -> None:
        """Send what the protocol answers, and end the connection when it says so."""
        self.flush()
        for data in self.protocol.data_to_send():
            if data:
                self._write(data)
            elif self.protocol.close_rcvd is not None:
                self.transport.close()
            else:
                # Closing with unread bytes resets the connection, and the app would not learn why.
                self.transport.write_eof()
        if self.protocol.close_expected():
            self.is_open = False
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(GOODBYE_S, self.transport.abort)

    def eof_received(self) -> None:
        """The app is gone; waiting until it has read what is left could take for ever."""
        self.cut()

    def pause_writing(self) -> None:
        """The client is slow: whoever writes waits, and it may send nothing more meanwhile."""
        self.is_full = True
        self.transport.pause_reading()
        self._slow = asyncio.get_running_loop().call_later(self._slow_s, self._too_slow)

    def resume_writing(self) -> None:
        self.transport.resume_reading()
        self._release()

    def _too_slow(self) -> None:
        log.info("A client did not read for %g s and was cut (slow_consumer).", self._slow_s)
        self._listener.too_slow()
        self.close(CloseCode.TRY_AGAIN_LATER, "slow_consumer")
        self._release()

    def _release(self) -> None:
        self.is_full = False
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        self._release()
        if self._timer is not None:
            self._timer.cancel()
        self.census.left(self)
        self._listener.wire_lost()


def long_header(size: int) -> bytes:
    """Header of an unmasked, final text frame of 126 bytes or more."""
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")
