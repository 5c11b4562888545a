"""The WebSocket to the center: frames are handed over as they arrive, without a queue in between."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from jota_core.api import Place

OPEN_S = 5.0
CLOSE_S = 1.0
PING_S = 10.0
LONGEST_FRAME = 16 * 1024 * 1024
LONGEST_HEAD = 64 * 1024
WHOLE_TEXT, MASKED = 0x81, 0x80

quiet = logging.getLogger(f"{__name__}.protocol")
quiet.setLevel(logging.WARNING)


class PushConnection(ClientConnection):
    """Calls `on_text` for every text message as it arrives, and leaves everything else to websockets.

    A token is a whole unmasked text frame of a hundred bytes; finding it here costs a tenth of what the
    general parser and its queue do. All other frames (control, fragments, broken ones) go to that parser,
    whole, and so do all frames before `on_text` is set.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.on_text: Callable[[bytes], None] | None = None
        self._rest = self._parts = b""
        self._take = self._answer

    def data_received(self, data: bytes) -> None:
        """Bytes in any cut (asyncio's protocol)."""
        data = self._rest + data if self._rest else data
        self._rest = b""
        self._take(data)

    def _answer(self, data: bytes) -> None:
        """The head of the answer to our handshake; frames follow it, or the body of a refusal."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 and len(data) < LONGEST_HEAD:
            self._rest = data
            return
        super().data_received(data[:end])
        is_open = self.protocol.state is State.OPEN
        self._take = self._frames if is_open else self._pass_on
        self._take(data[end:])

    def _frames(self, data: bytes) -> None:
        at, size = 0, len(data)
        while (found := _frame_at(data, at, size)) is not None:
            start, end = found
            if end - start > LONGEST_FRAME + 4:
                self._take = self._pass_on  # who fails the connection
                self._pass_on(data[at:])
                return
            if end > size:
                break
            if self.on_text is not None and data[at] == WHOLE_TEXT and not data[at + 1] & MASKED:
                self.on_text(data[start:end])
            else:
                self._pass_on(data[at:end])
            at = end
        self._rest = data[at:]

    def _pass_on(self, data: bytes) -> None:
        super().data_received(data)
        if self.protocol.state is State.CLOSING:
            self.transport.close()  # all is said: a center that does not hang up must not keep us

    def process_event(self, event: Any) -> None:
        """One frame that the parser has found (websockets' own extension point)."""
        if self.on_text is None or not isinstance(event, Frame):
            super().process_event(event)
        elif event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._parts += event.data
            if event.fin:
                whole, self._parts = self._parts, b""
                self.on_text(whole)
        else:
            super().process_event(event)


def _frame_at(data: bytes, at: int, size: int) -> tuple[int, int] | None:
    """Where a frame's payload starts and ends (RFC 6455, 5.2), mask included; None without its whole head."""
    if size - at < 2:
        return None
    length, start = data[at + 1] & 0x7F, at + 2
    if length >= 126:
        start += 2 if length == 126 else 8
        if size < start:
            return None
        length = int.from_bytes(data[at + 2 : start], "big")
    return start, start + length + (4 if data[at + 1] & MASKED else 0)


async def dial(place: Place, headers: dict[str, str], silent_s: float) -> PushConnection:
    """Connect. Raises `OSError`, `TimeoutError` or websockets' `WebSocketException`."""
    socket = await connect(
        place.url, host=place.host, port=place.port, additional_headers=headers,
        create_connection=PushConnection, compression=None, proxy=None,
        max_size=LONGEST_FRAME, open_timeout=OPEN_S, close_timeout=CLOSE_S,
        ping_interval=min(PING_S, silent_s / 2), ping_timeout=silent_s, logger=quiet,
    )  # fmt: skip
    assert isinstance(socket, PushConnection)
    return socket
