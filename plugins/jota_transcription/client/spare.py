"""One connection kept warm ahead, so that an utterance does not wait for a handshake."""

from __future__ import annotations

import asyncio
import logging

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from jota_core.api import BackendError, Code, Destination, Place, Resolve, ServiceRecord, Unproven

from .race import Race, Warm
from .settings import TranscriptionSettings

FRESH_S = 20.0
"""A spare one is renewed after this: servers send those away that say nothing for half a minute."""
ALIVE_S = 1.0
"""Ears that do not answer a ping in this time are not waited for."""
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
        self._warm: Warm | None = None
        self._taken = asyncio.Event()

    async def keep(self, log: logging.Logger, resolve: Resolve) -> None:
        """Until cancelled."""
        self._resolve = resolve
        pause_s = FIRST_PAUSE_S
        try:
            while True:
                try:
                    warm = await self._connected()
                except BackendError as error:
                    self._missed(error.sentence, log)
                    await self._drop()
                    await self.destination.wait(pause_s)
                    pause_s = min(2 * pause_s, MOST_PAUSE_S)
                    continue
                if self.trouble:
                    log.info("The ears at %s are there.", self.at)
                self.trouble, pause_s = "", FIRST_PAUSE_S
                await self._replace(warm)
                await self._until_stale(warm.socket)
        finally:
            await self._drop()

    def _missed(self, why: str, log: logging.Logger) -> None:
        if why != self.trouble:
            log.warning("%s", why)
        self.trouble = why

    async def _replace(self, new: Warm) -> None:
        """The old one was there to be taken until now, so that no utterance waits for a renewal."""
        old, self._warm = self._warm, new
        self._taken.clear()
        if old is not None:
            await old.socket.close()

    async def _until_stale(self, socket: ClientConnection) -> None:
        """Until it was taken, closed by the server, or is old."""
        closed, taken = (asyncio.ensure_future(each) for each in (socket.wait_closed(), self._taken.wait()))
        try:
            await asyncio.wait({closed, taken}, timeout=FRESH_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
            taken.cancel()

    async def lost(self, record: ServiceRecord) -> None:
        """It said goodbye: no utterance goes there any more, not even over a connection that is warm."""
        self.destination.lost(record)
        if self._warm is not None and _is_at(self._warm.place, record):
            await self._drop()

    async def _drop(self) -> None:
        warm, self._warm = self._warm, None
        if warm is not None:
            await warm.socket.close()

    async def take(self) -> ClientConnection:
        """The spare one, else a new one. Raises `BackendError`."""
        warm, self._warm = self._warm, None
        self._taken.set()
        if warm is None or not await self._is_alive(warm):
            warm = await self._connected()
        return warm.socket

    async def _is_alive(self, warm: Warm) -> bool:
        """Whether somebody is at its other end; what discovery found is one of ours, which answers pings."""
        if warm.socket.close_code is not None:
            return False
        if warm.place.record is None:
            return True
        try:
            async with asyncio.timeout(ALIVE_S):
                await (await warm.socket.ping())
        except (TimeoutError, ConnectionClosed):
            self.destination.failed(warm.place)
            warm.socket.transport.abort()
            return False
        return True

    async def _connected(self) -> Warm:
        """A new one. Raises `BackendError`."""
        try:
            warm = await self._raced()
            while not self._is_there(warm.place):  # it said goodbye meanwhile
                warm.socket.transport.abort()
                warm = await self._raced()
        except (OSError, Unproven) as error:
            raise BackendError(Code.STT_UNAVAILABLE, str(error), 2.0) from None
        self.at = warm.place.url
        self.destination.worked(warm.place)
        return warm

    async def _raced(self) -> Warm:
        places = await self.destination.places(self._resolve)
        if not places:
            raise ConnectionError(self.destination.nobody)
        return await Race(self._reached, self.destination.failed).first(places)

    def _is_there(self, place: Place) -> bool:
        return place.record is None or any(_is_at(place, each) for each in self.destination.records)

    async def _reached(self, place: Place) -> ClientConnection:
        """Raises `Unproven`, `ConnectionError`."""
        await place.check("", self._settings.secret)
        try:
            return await connect(
                place.url, host=place.host, port=place.port, open_timeout=self._settings.connect_s,
                max_size=LARGEST, compression=None, close_timeout=1.0, logger=quiet,
            )  # fmt: skip
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, EOFError) as error:
            why = f"The ears at {place.url} cannot be reached: {error or type(error).__name__}."
            raise ConnectionError(why) from None


def _is_at(place: Place, record: ServiceRecord) -> bool:
    return place.record is not None and (place.record.id, place.record.name) == (record.id, record.name)


async def _by_the_system(_: str) -> tuple[str, ...]:
    """No address of its own: the system's resolver is asked."""
    return ()
