"""The door itself: opens the listener, serves until cancelled, says goodbye to everyone."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jota_core.api import APP, Health, LanOffer, PluginContext, ReminderDue, Sessions, Transport

from .census import Census
from .chores import Chores
from .settings import HttpSettings

if TYPE_CHECKING:
    from aiohttp import web

BACKLOG = 4096
KERNEL_BUFFER = 128 * 1024
"""Send buffer of each connection; the kernel's own choice of megabytes would hide slow clients."""
SPARE_FILES = 256
GOODBYE_S = 1.5
"""For everyone to take the goodbye; then connections are cut."""


class HttpDoor(Transport):
    """A listener for apps. Set `context` before serving; `serve` may be called again after it ended."""

    context: PluginContext

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._census = Census(settings.max_connections)
        self._chores = Chores()
        self._listener: asyncio.Server | None = None
        self.addresses: list[tuple[str, int]] = []
        """Where it listens now."""

    async def serve(self, sessions: Sessions) -> None:
        from aiohttp import web  # not needed by `jota check`, which imports this module

        from .application import Parts, build

        self._chores.draining = False
        parts = Parts(self._settings, self.context, sessions, self._census, self._chores)
        runner = web.AppRunner(build(parts), handler_cancellation=True, shutdown_timeout=GOODBYE_S)
        await runner.setup()
        try:
            await self._open(runner)
            self.context.ready()
            await self._census.keep_alive(self._settings.heartbeat_s)
        finally:
            await self._close(runner)

    async def _open(self, runner: web.AppRunner) -> None:
        from .connection import connection_of

        server, settings = runner.server, self._settings
        assert server is not None
        raise_file_limit(settings.max_connections + SPARE_FILES)
        host, port = settings.address
        listener = self._listener = await asyncio.get_running_loop().create_server(
            lambda: connection_of(server, self._census, settings.handshake_s),
            host or None, port, backlog=BACKLOG, reuse_port=settings.reuse_port or None,
        )  # fmt: skip
        for each in listener.sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
        self.addresses = [each.getsockname()[:2] for each in listener.sockets]
        for host, port in self.addresses:
            shown = f"[{host}]" if ":" in host else host
            self.context.log.info("Listening on http://%s:%d", shown, port)

    def drain(self) -> None:
        """Take nobody in any more, and send away whom we owe no answer."""
        self._chores.draining = True
        if self._listener is not None:
            self._listener.close()
        for wire in list(self._census.wires):
            wire.drain()

    async def _close(self, runner: web.AppRunner) -> None:
        """Everyone is told; who does not listen is cut."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for wire in list(self._census.wires):
            wire.close(1001, "server_restart")
        await runner.cleanup()
        await self._census.everyone_left(GOODBYE_S)
        await self._chores.close(GOODBYE_S)

    def offers(self) -> Sequence[LanOffer]:
        if self._listener is None or not self._listener.is_serving():
            return ()
        host, port = self._settings.address
        txt = {"path": "/api/v1/ws/chat", "proto": "1", "tls": "0"}
        return [LanOffer(APP, host, port or self.addresses[0][1], txt)]

    def remind(self, due: ReminderDue) -> None:
        """Tell whoever is connected and meant."""
        self._census.remind(due)

    def health(self) -> Health:
        """How many are connected."""
        count = self._census.http + len(self._census.wires)
        if self._census.is_full:
            return Health(False, f"All {count} connections are taken; raise `max_connections`.")
        return Health(True, f"{count} connections")


def raise_file_limit(wanted: int) -> None:
    """Allow this process as many open files as connections need and the system permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
