"""A reply sink that keeps what it is sent, and `ask`, the shortest way to one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from jota_core.api import Delta, Principal, ReplyEvent, ReplySink, Sessions, TurnEnded, TurnOptions

from .waiting import LIMIT_S


class CollectingSink(ReplySink):
    """Stands where a door would stand. `delay_s` makes it a slow user: every event takes that long."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.events: list[ReplyEvent] = []
        self.delay_s = delay_s
        self._changed = asyncio.Event()

    async def send(self, event: ReplyEvent) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        self.events.append(event)
        self._changed.set()

    @property
    def text(self) -> str:
        """All text so far, of all turns."""
        return "".join(event.text for event in self.events if isinstance(event, Delta))

    @property
    def ends(self) -> list[TurnEnded]:
        """The end of each turn so far."""
        return [event for event in self.events if isinstance(event, TurnEnded)]

    async def end(self, turn_id: str | None = None, limit_s: float = LIMIT_S) -> TurnEnded:
        """Wait for the end of a turn (of any, without an id). Raises `AssertionError`."""
        await self._until(
            lambda: bool(self._ended(turn_id)), f"the end of turn {turn_id or '(any)'}", limit_s
        )
        return self._ended(turn_id)[0]

    async def until_text(self, wanted: str, limit_s: float = LIMIT_S) -> None:
        """Wait until the text so far holds `wanted`. Raises `AssertionError`."""
        await self._until(lambda: wanted in self.text, f"the text {wanted!r}", limit_s)

    async def _until(self, fact: Callable[[], bool], what: str, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                while not fact():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"Waited {limit_s:g} s for {what}; it did not come.") from None

    def _ended(self, turn_id: str | None) -> list[TurnEnded]:
        return [end for end in self.ends if turn_id in (None, end.turn_id)]


async def ask(
    sessions: Sessions,
    text: str,
    *,
    user: str = "tester",
    options: TurnOptions = TurnOptions(),
    limit_s: float = LIMIT_S,
) -> CollectingSink:
    """Say one thing to a host (`host.sessions`) and wait for the whole answer.

    The sink returned has its `text` and, in `ends[0]`, how it ended.
    """
    sink = CollectingSink()
    session = await sessions.open(Principal(user), sink, door="test")
    try:
        await sink.end(session.submit(text, options), limit_s)
    finally:
        await session.close()
    return sink
