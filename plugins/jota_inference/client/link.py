"""The link: keeps one connection to the center for as long as the section lives."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic

import orjson
from websockets.exceptions import InvalidStatus, WebSocketException

from jota_core.api import ServiceRecord, TaskOwner, Unproven

from .connection import Connection, Peer
from .errors import Frame
from .settings import InferenceSettings
from .socket import PushConnection, dial
from .where import Where

GREETING_S = 2.0
"""The center speaks first; one that says nothing for so long is none."""
FIRST_S, REFUSED_S = 1.0, 5.0
"""The first pause; and after credentials were refused, where haste does not help."""
AT_ONCE_S, AT_ONCE_PAUSE_S = 10.0, 0.5
"""A lost connection is tried again at once, and then so often for so long: most centers just restart."""
LONGEST_REFUSED_S = 60.0
FLAPS, FLAPPING_S = 5, 30.0
"""So many losses within this time are more than a restart."""
DISCOVERED_SILENT_S = 4.0
"""What discovery found is one of ours, which always answers a ping."""


class Refused(Exception):
    """The center does not accept our credentials."""


class Link:
    """Connects, tells who we are, and connects again, with growing pauses; never gives up."""

    def __init__(
        self,
        settings: InferenceSettings,
        where: Where,
        log: logging.Logger,
        greeted: Callable[[Connection], Awaitable[None]],
    ) -> None:
        self.connection: Connection | None = None
        self.trouble = "It has not been tried yet."
        """Why there is no connection, for people."""
        self.tried = asyncio.Event()
        """Set once it is known whether the center can be reached."""
        self.is_leaving = False
        """It has said goodbye: the connection stays until it breaks, and is not made again."""
        self._settings = settings
        self._where = where
        self._soon = asyncio.Event()
        self._log = log
        self._greeted = greeted
        self._ever = False
        self._pause_s = 0.0
        self._losses: deque[float] = deque([-FLAPPING_S], maxlen=FLAPS)

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return self._where.url

    def leave(self) -> None:
        """It has said goodbye."""
        self.is_leaving = True
        self._soon.set()

    def moved(self, record: ServiceRecord) -> None:
        """It is there, maybe elsewhere: try now, unless only its load is another."""
        was, self._where.record = self._where.record, record
        if self.is_leaving or was is None or not record.differs_in_load_only(was):
            self._soon.set()
        self.is_leaving = False

    async def keep(self) -> None:
        """Run until cancelled, or until a center that has left is gone."""
        while not self.is_leaving:
            try:
                await self._attend()
                pause_s = self._next_pause() if self._is_flapping() else 0.0
            except Refused as error:
                self._down(str(error))
                pause_s = self._doubled(REFUSED_S, LONGEST_REFUSED_S)
            except (OSError, TimeoutError, WebSocketException, ValueError) as error:
                self._down(f"{self.url} cannot be reached: {_reason(error)}.")
                pause_s = self._next_pause()
            except Unproven as error:
                self._down(str(error))
                pause_s = self._doubled(REFUSED_S, LONGEST_REFUSED_S)
            self.tried.set()
            await self._pause(pause_s * random.uniform(0.75, 1.0))  # noqa: S311 - jitter, no secret

    async def _pause(self, seconds: float) -> None:
        self._soon.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._soon.wait()

    async def _attend(self) -> None:
        """One connection from its beginning to its end. Raises when it does not come about."""
        try:
            socket = await self._dialled()
        except InvalidStatus as error:
            if error.response.status_code in (401, 403):
                raise Refused(self._refusal(f"status {error.response.status_code}")) from None
            raise
        tasks = TaskOwner("inference link")
        try:
            peer = Peer.of(await self._welcome(socket))
            self.connection = Connection(socket, peer, self._settings, tasks)
            self._up()
            tasks.start("greeted", self._greet(self.connection))
            why = await self.connection.until_lost()
            self._losses.append(monotonic())
            self._down(f"The connection to {self.url} was lost ({why}).")
        finally:
            self.connection = None
            await tasks.close()
            await socket.close()

    async def _dialled(self) -> PushConnection:
        """The first address that answers, and proves to know our key where it only announced itself."""
        failure: Exception = OSError(f"nobody knows the address of {self.url}")
        key = self._settings.key.get_secret_value() if self._settings.key else ""
        for place in await self._where.places():
            try:
                await place.check(self._settings.client_id, key)
                socket = await dial(place, self._headers(), self._silent_s)
            except InvalidStatus:
                raise
            except (OSError, TimeoutError, WebSocketException, Unproven) as error:
                failure = error
            else:
                self._where.worked(place)
                return socket
        raise failure

    @property
    def _silent_s(self) -> float:
        usual = self._settings.silent_s
        return min(usual, DISCOVERED_SILENT_S) if self._where.record else usual

    async def _greet(self, connection: Connection) -> None:
        await self._greeted(connection)
        self.tried.set()

    async def _welcome(self, socket: PushConnection) -> Frame:
        """Tell who we are, however this center wants to know it. Raises `Refused`, `TimeoutError`."""
        async with asyncio.timeout(GREETING_S):
            first = await _frame(socket)
        if first.get("op") == "hello":
            await socket.send(orjson.dumps({"op": "auth", **self._credentials()}).decode())
            async with asyncio.timeout(GREETING_S):
                first = await _frame(socket)
                while first.get("op") == "hello":
                    first = await _frame(socket)
        if first.get("op") == "auth_failed":
            raise Refused(self._refusal(str(first.get("reason", ""))[:200]))
        if first.get("op") != "auth_success":
            raise ValueError("it does not answer as an Inference Center does")
        return first

    def _credentials(self) -> dict[str, str]:
        key = self._settings.key
        return {"client_id": self._settings.client_id, "api_key": key.get_secret_value() if key else ""}

    def _headers(self) -> dict[str, str]:
        """None without a key: a center that wants one answers 401 to half of the headers."""
        told = self._credentials()
        return {"X-Client-ID": told["client_id"], "X-API-Key": told["api_key"]} if told["api_key"] else {}

    def _refusal(self, reason: str) -> str:
        return (
            f"The Inference Center at {self.url} does not accept the client id "
            f"{self._settings.client_id!r} with its key ({reason}); check both."
        )

    def _next_pause(self) -> float:
        if monotonic() - self._losses[-1] < AT_ONCE_S and not self._is_flapping():
            return AT_ONCE_PAUSE_S
        return self._doubled(FIRST_S, self._settings.retry_s if self._ever else self._settings.first_retry_s)

    def _is_flapping(self) -> bool:
        """Whether it was made and lost again and again: then there is no hurry."""
        return len(self._losses) == FLAPS and monotonic() - self._losses[0] < FLAPPING_S

    def _doubled(self, first_s: float, longest_s: float) -> float:
        self._pause_s = min(max(first_s, self._pause_s * 2), longest_s)
        return self._pause_s

    def _up(self) -> None:
        self._ever, self.trouble = True, ""
        if not self._is_flapping():
            self._pause_s = 0.0
        self._log.info("Connected to the Inference Center at %s.", self.url)

    def _down(self, trouble: str) -> None:
        if trouble != self.trouble:
            self._log.warning("%s It is tried again and again.", trouble)
        self.trouble = trouble


async def _frame(socket: PushConnection) -> Frame:
    found = orjson.loads(await socket.recv())
    if not isinstance(found, dict):
        raise ValueError("it does not answer as an Inference Center does")
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
