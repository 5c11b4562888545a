"""HTTP connections: counted, and refused beyond the limit before they cost anything."""

from __future__ import annotations

import asyncio
import logging
from typing import cast

from aiohttp import web

from .census import Census

FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
)
BODY = (
    b'{"status":"error","code":"busy","message":"All connections are taken. Try again later.",'
    b'"retry_after_s":5.0}'
)
LINGER_S = 0.5

log = logging.getLogger(f"{__name__}.aiohttp")
"""Where aiohttp reports garbage; its records can quote what was sent, so they are for debugging only."""
log.addFilter(lambda _: log.isEnabledFor(logging.DEBUG))


class Connection(web.RequestHandler):
    """One HTTP connection of the door."""

    __slots__ = ("_census", "_counted")

    def __init__(self, server: web.Server, census: Census, handshake_s: float) -> None:
        # aiohttp closes a connection whose next request is not complete after the keep-alive time,
        # the first one included; so it is the limit for slow handshakes as well.
        super().__init__(
            server, loop=asyncio.get_running_loop(), keepalive_timeout=handshake_s, logger=log,
            access_log=None,  # type: ignore[arg-type]  # None turns it off, the documentation says
            lingering_time=2.0,
        )  # fmt: skip
        self._census = census
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._census.http += 1
        self._counted = True
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._counted:
            self._counted = False
            self._census.http -= 1
        super().connection_lost(exc)


class Refusal(asyncio.Protocol):
    """One connection too many: told so and closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)
        stream.write(FULL % (len(BODY), BODY))
        # Closing at once would reset the connection and could take the answer away again.
        asyncio.get_running_loop().call_later(LINGER_S, stream.close)


def connection_of(server: web.Server, census: Census, handshake_s: float) -> asyncio.Protocol:
    """The protocol for a new connection."""
    return Refusal() if census.is_full else Connection(server, census, handshake_s)
