"""The link: keeps one connection to the center for as long as the section lives."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic

import orjson
from websockets.exceptions import InvalidStatus, WebSocketException

from jota_core.api import TaskOwner

from .connection import Connection, Peer
from .errors import Frame
from .settings import InferenceSettings
from .socket import PushConnection, dial

GREETING_S = 2.0
"""The center speaks first; one that says nothing for so long is none."""
FIRST_S, REFUSED_S = 1.0, 5.0
"""The first pause; and after credentials were refused, where haste does not help."""
AT_ONCE_S, AT_ONCE_PAUSE_S = 10.0, 0.5
"""A lost connection is tried again at once, and then so often for so long: most centers just restart."""
LONGEST_REFUSED_S = 60.0
FLAPS, FLAPPING_S = 5, 30.0
"""So many losses within this time are more than a restart."""


class Refused(Exception):
    """The center does not accept our credentials."""


class Link:
    """Connects, tells who we are, and connects again, with growing pauses; never gives up."""

    def __init__(
        self,
        settings: InferenceSettings,
        log: logging.Logger,
        greeted: Callable[[Connection], Awaitable[None]],
    ) -> None:
        self.connection: Connection | None = None
        self.trouble = "It has not been tried yet."
        """Why there is no connection, for people."""
        self.tried = asyncio.Event()
        """Set once it is known whether the center can be reached."""
        self._settings = settings
        self._log = log
        self._greeted = greeted
        self._ever = False
        self._pause_s = 0.0
        self._losses: deque[float] = deque([-FLAPPING_S], maxlen=FLAPS)

    async def keep(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self._attend()
                pause_s = self._next_pause() if self._is_flapping() else 0.0
            except Refused as error:
                self._down(str(error))
                pause_s = self._doubled(REFUSED_S, LONGEST_REFUSED_S)
            except (OSError, TimeoutError, WebSocketException, ValueError) as error:
                self._down(f"{self._settings.url} cannot be reached: {_reason(error)}.")
                pause_s = self._next_pause()
            self.tried.set()
            await asyncio.sleep(pause_s * random.uniform(0.75, 1.0))  # noqa: S311 - jitter, no secret

    async def _attend(self) -> None:
        """One connection from its beginning to its end. Raises when it does not come about."""
        try:
            socket = await dial(self._settings.url, self._headers(), self._settings.silent_s)
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
            self._down(f"The connection to {self._settings.url} was lost ({why}).")
        finally:
            self.connection = None
            await tasks.close()
            await socket.close()

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
            f"The Inference Center at {self._settings.url} does not accept the client id "
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
        self._log.info("Connected to the Inference Center at %s.", self._settings.url)

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
