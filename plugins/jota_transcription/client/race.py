"""Which of several places answers: a dead one must not keep an utterance waiting while another is there."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection

from jota_core.api import Place

HEAD_START_S = 0.5
"""Who has not answered by then is not waited for: the next one is asked as well."""


@dataclass(frozen=True, slots=True)
class Warm:
    """A connection, and where it leads."""

    place: Place
    socket: ClientConnection


class Race:
    """The places in their order, each with a head start over the next."""

    def __init__(
        self, connect: Callable[[Place], Awaitable[ClientConnection]], failed: Callable[[Place], None]
    ) -> None:
        self._connect = connect
        self._failed = failed
        self._running: dict[asyncio.Future[ClientConnection], Place] = {}

    async def first(self, places: Sequence[Place]) -> Warm:
        """The first that answers; those that were asked before it have failed. Raises the last failure."""
        failure: BaseException = ConnectionError("There is no place to go to.")
        waiting = deque(places)
        try:
            while waiting or self._running:
                if waiting:
                    place = waiting.popleft()
                    self._running[asyncio.ensure_future(self._connect(place))] = place
                for attempt in await self._over(HEAD_START_S if waiting else None):
                    if (error := attempt.exception()) is None:
                        return self._won(attempt)
                    self._failed(self._running.pop(attempt))
                    failure = error
            raise failure
        finally:
            await self._end()

    async def _over(self, limit_s: float | None) -> set[asyncio.Future[ClientConnection]]:
        done, _ = await asyncio.wait(self._running, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        return done

    def _won(self, winner: asyncio.Future[ClientConnection]) -> Warm:
        for attempt, place in self._running.items():
            if attempt is winner:
                break
            self._failed(place)
        return Warm(self._running.pop(winner), winner.result())

    async def _end(self) -> None:
        """Give up the others, and hang up on those that answered a moment too late."""
        for attempt in self._running:
            attempt.cancel()
        for late in await asyncio.gather(*self._running, return_exceptions=True):
            if isinstance(late, ClientConnection):
                late.transport.abort()
