"""One connection kept warm ahead, so that an utterance does not wait for a handshake."""

from __future__ import annotations

import asyncio
import logging

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidURI

from jota_core.api import BackendError, Code, Destination, Resolve, Unproven

from .settings import TranscriptionSettings

FRESH_S = 20.0
"""A spare one is renewed after this: servers send those away that say nothing for half a minute."""
FIRST_PAUSE_S, MOST_PAUSE_S = 0.25, 5.0
LARGEST = 4 * 1024 * 1024

quiet = logging.getLogger(f"{__name__}.protocol")
quiet.setLevel(logging.WARNING)


class Spare:
    """Keeps a connection ready; `take` gives it away."""

    def __init__(self, settings: TranscriptionSettings) -> None:
        self.trouble = "It has not been asked yet."
        """Why nobody hears there; empty while somebody does."""
        self.destination = Destination(settings.far)
        self.at = settings.url
        """Where it was found last, for people."""
        self._settings = settings
        self._resolve: Resolve = _by_the_system
        self._socket: ClientConnection | None = None
        self._taken = asyncio.Event()

    async def keep(self, log: logging.Logger, resolve: Resolve) -> None:
        """Until cancelled."""
        self._resolve = resolve
        pause_s = FIRST_PAUSE_S
        try:
            while True:
                try:
                    self._socket = await self._connected()
                except BackendError as error:
                    self._lost(error.sentence, log)
                    await self.destination.wait(pause_s)
                    pause_s = min(2 * pause_s, MOST_PAUSE_S)
                    continue
                if self.trouble:
                    log.info("The ears at %s are there.", self.at)
                self.trouble, pause_s = "", FIRST_PAUSE_S
                await self._until_stale(self._socket)
        finally:
            await self._drop()

    def _lost(self, why: str, log: logging.Logger) -> None:
        if why != self.trouble:
            log.warning("%s", why)
        self.trouble = why

    async def _until_stale(self, socket: ClientConnection) -> None:
        """Until it was taken, closed by the server, or is old."""
        self._taken.clear()
        closed, taken = (asyncio.ensure_future(each) for each in (socket.wait_closed(), self._taken.wait()))
        try:
            await asyncio.wait({closed, taken}, timeout=FRESH_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
            taken.cancel()
        if self._socket is socket:
            await self._drop()

    async def _drop(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def take(self) -> ClientConnection:
        """The spare one, else a new one. Raises `BackendError`."""
        socket, self._socket = self._socket, None
        self._taken.set()
        return socket if socket is not None and socket.close_code is None else await self._connected()

    async def _connected(self) -> ClientConnection:
        try:
            place = await self.destination.place(self._resolve, key=self._settings.secret)
        except (OSError, Unproven) as error:
            raise BackendError(Code.STT_UNAVAILABLE, str(error), 2.0) from None
        self.at = place.url
        try:
            return await connect(
                place.url, host=place.host, port=place.port, open_timeout=self._settings.connect_s,
                max_size=LARGEST, compression=None, close_timeout=1.0, logger=quiet,
            )  # fmt: skip
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, EOFError) as error:
            self.destination.failed(place)
            why = f"The ears at {place.url} cannot be reached: {error or type(error).__name__}."
            raise BackendError(Code.STT_UNAVAILABLE, why, 2.0) from None


async def _by_the_system(_: str) -> tuple[str, ...]:
    """No address of its own: the system's resolver is asked."""
    return ()
