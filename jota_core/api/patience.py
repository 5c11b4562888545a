"""How long a door waits for those who do not read what they are told."""

from __future__ import annotations

import asyncio
from socket import SO_SNDBUF, SOL_SOCKET

KERNEL_BUFFER = 128 * 1024
"""Little waits in the kernel: so a slow reader is told from one who has stopped, and memory stays bounded."""
LOOKS = 8


class Patience:
    """Cuts connections whose other side has read nothing for `limit_s`, whoever waits for them."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._seen: dict[asyncio.Transport, tuple[int, float]] = {}  # bytes that wait, since when
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, transport: asyncio.BaseTransport | None) -> None:
        """From now on, until it is closed and everything was sent."""
        if isinstance(transport, asyncio.Transport):
            transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, KERNEL_BUFFER)
            self._seen[transport] = (0, 0.0)
            if self._timer is None:
                self._soon()

    def close(self) -> None:
        """Cut those that still do not read."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for transport in self._seen:
            if transport.get_write_buffer_size():
                transport.abort()
        self._seen.clear()

    def _soon(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._limit_s / LOOKS, self._round)

    def _round(self) -> None:
        self._timer, now = None, asyncio.get_running_loop().time()
        for transport in list(self._seen):
            self._look(transport, now)
        if self._seen:
            self._soon()

    def _look(self, transport: asyncio.Transport, now: float) -> None:
        size, (before, since) = transport.get_write_buffer_size(), self._seen[transport]
        if not size and transport.is_closing():
            del self._seen[transport]
        elif not size or size < before or not before:
            self._seen[transport] = (size, now)
        elif now - since > self._limit_s:
            transport.abort()
        else:
            self._seen[transport] = (size, since)
