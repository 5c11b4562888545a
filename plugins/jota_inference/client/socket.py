"""The WebSocket to the center: frames are handed over as they arrive, without a queue in between."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

OPEN_S = 5.0
CLOSE_S = 1.0
PING_S = 10.0
LONGEST_FRAME = 16 * 1024 * 1024

quiet = logging.getLogger(f"{__name__}.protocol")
quiet.setLevel(logging.WARNING)


class PushConnection(ClientConnection):
    """Calls `on_text` for every message instead of queueing it, which saves two passes of the loop.

    Messages before `on_text` is set wait for `recv` as usual.
    """

    on_text: Callable[[Any], None] | None = None
    _parts: bytes = b""

    def process_event(self, event: Any) -> None:
        """One parsed frame (websockets' own extension point)."""
        if self.on_text is None or not isinstance(event, Frame):
            super().process_event(event)
        elif event.opcode is Opcode.TEXT and event.fin:
            self.on_text(event.data)
        elif event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._part(event)
        else:
            super().process_event(event)

    def _part(self, event: Frame) -> None:
        assert self.on_text is not None
        self._parts += event.data
        if event.fin:
            whole, self._parts = self._parts, b""
            self.on_text(whole)


async def dial(url: str, headers: dict[str, str], silent_s: float) -> PushConnection:
    """Connect. Raises `OSError`, `TimeoutError` or websockets' `WebSocketException`."""
    socket = await connect(
        url, additional_headers=headers, create_connection=PushConnection, compression=None, proxy=None,
        max_size=LONGEST_FRAME, open_timeout=OPEN_S, close_timeout=CLOSE_S,
        ping_interval=min(PING_S, silent_s), ping_timeout=silent_s, logger=quiet,
    )  # fmt: skip
    assert isinstance(socket, PushConnection)
    return socket
