"""Sessions at the center: few, kept warm for their conversations, lent to turns in the order they came."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from jota_core.api import BackendError, Code, TaskOwner

from .errors import Frame, lost
from .session import FarSession
from .settings import InferenceSettings

log = logging.getLogger(__name__)

END_S = 10.0
"""An aborted prompt has so long to end; a session that does not is never used again."""
CLOSE_S = 5.0
REFUSED_S = 10.0
"""After a refusal no further session is asked for during so many seconds."""


class Wire(Protocol):
    """What the pool needs of the connection."""

    async def ask(self, op: str, session_id: str | None = None, *, limit_s: float, **members: Any) -> Frame:
        """Send an operation and wait for its answer. Raises `BackendError`."""

    async def post(self, op: str, session_id: str, tell: Callable[[Frame], bool]) -> None:
        """Send an operation; `tell` hears the answer."""


class Place:
    """One turn's place in the line. Wait for its session, and leave it whatever happens."""

    __slots__ = ("_granted", "background", "conversation", "since")

    def __init__(self, conversation: str, background: bool) -> None:
        self.conversation = conversation
        self.background = background
        self.since = monotonic()
        self._granted: asyncio.Future[FarSession] = asyncio.get_running_loop().create_future()

    @property
    def waits(self) -> bool:
        """Whether it has neither a session nor an error."""
        return not self._granted.done()

    @property
    def session(self) -> FarSession | None:
        """What it was given and still has to give back."""
        granted = self._granted
        return (
            granted.result()
            if granted.done() and not granted.cancelled() and not granted.exception()
            else None
        )

    def grant(self, session: FarSession) -> None:
        """Its turn has come."""
        session.conversation = self.conversation
        self._granted.set_result(session)

    def refuse(self, error: BackendError) -> None:
        """There is no session for it."""
        if self.waits:
            self._granted.set_exception(error)
            self._granted.exception()  # it may be gone already: then nobody asks

    async def wait(self, limit_s: float) -> FarSession | None:
        """Its session, or None when the limit came first. Raises `BackendError`."""
        await asyncio.wait({self._granted}, timeout=limit_s)
        return self._granted.result() if self._granted.done() else None

    def cancel(self) -> None:
        """Nobody waits for it."""
        self._granted.cancel()


class Pool:
    """All sessions of one connection."""

    def __init__(self, limit: int, settings: InferenceSettings, wire: Wire, tasks: TaskOwner) -> None:
        self.sessions: dict[str, FarSession] = {}
        self.model: str | None = None
        """What the center had loaded when it last said so."""
        self._limit = min(limit, settings.sessions)
        self._settings = settings
        self._wire = wire
        self._tasks = tasks
        self._idle: OrderedDict[str, FarSession] = OrderedDict()
        self._line: deque[Place] = deque()
        self._creating = 0
        self._refused_until = 0.0
        self._paused = False

    def __str__(self) -> str:
        waiting = f", {len(self._line)} turns wait" if self._line else ""
        return f"{self.busy} of {len(self.sessions)} sessions at work{waiting}"

    @property
    def waiting(self) -> int:
        """Turns that wait for a session."""
        return len(self._line)

    @property
    def busy(self) -> int:
        """Sessions that answer, or end an answer."""
        return len(self.sessions) - len(self._idle)

    def enter(self, conversation: str, *, background: bool = False) -> Place:
        """Stand in line for a session, in front of what is only `background` work.

        Raises `BackendError` (`engine_busy`) when the line is full.
        """
        place = Place(conversation, background)
        session = None if self._line or self._paused else self._take_idle(conversation)
        if session is not None:
            place.grant(session)
        elif len(self._line) >= self._settings.waiting:
            raise busy(f"{len(self._line)} turns wait already")
        else:
            self._line.insert(self._behind(background), place)
            self._serve()
        return place

    def leave(self, place: Place) -> None:
        """The turn is over: abort what still runs of it; a session that has seen an error is closed."""
        session = place.session
        if session is None:
            place.cancel()
            if place in self._line:
                self._line.remove(place)
        elif session.id in self.sessions:
            session.leave()
            if session.has_ended and session.is_sound:
                self._give_back(session)
            else:
                self._tasks.start("recycle", self._recycle(session))

    def drop(self, session_id: str) -> None:
        """The center does not know this session, or nobody may use it any more."""
        self.sessions.pop(session_id, None)
        self._idle.pop(session_id, None)
        self._serve()

    async def pause(self) -> None:
        """Lend nothing, and close all: the C++ center must not change its model under a session.

        Raises `BackendError` (`engine_busy`) while a session is at work.
        """
        if self.busy or self._creating:
            raise busy("it answers other turns of ours")
        self._paused = True
        await asyncio.gather(*(self._close(session) for session in list(self.sessions.values())))

    def resume(self) -> None:
        """Lend again."""
        self._paused = False
        self._serve()

    def adopt(self, frame: Frame) -> bool:
        """A session was made, perhaps for somebody who has stopped waiting for it; False for no new one."""
        session_id, model = frame.get("session_id"), frame.get("model_id")
        if not isinstance(session_id, str) or session_id in self.sessions:
            return False
        self.model = model if isinstance(model, str) else self.model
        self.sessions[session_id] = session = FarSession(session_id)
        self._give_back(session)
        return True

    def lose(self) -> None:
        """The connection is gone, and everything with it."""
        sessions, self.sessions = self.sessions, {}
        line, self._line = self._line, deque()
        self._idle.clear()
        for session in sessions.values():
            session.lose()
        for place in line:
            place.refuse(lost())

    def _behind(self, background: bool) -> int:
        """Where somebody new stands in the line."""
        others = len(self._line)
        if background:
            return others
        return next((at for at, place in enumerate(self._line) if place.background), others)

    def _take_idle(self, conversation: str) -> FarSession | None:
        """The conversation's own session; else, when there can be no new one, the one used longest ago."""
        own = next((each for each in self._idle.values() if each.conversation == conversation), None)
        if own is None and self._idle and not self._can_create():
            own = next(iter(self._idle.values()))
        return self._idle.pop(own.id) if own is not None else None

    def _can_create(self) -> bool:
        """Without any session it is worth a try even after a refusal."""
        refused = self.sessions and monotonic() < self._refused_until
        return len(self.sessions) + self._creating < self._limit and not refused

    def _give_back(self, session: FarSession) -> None:
        self._idle[session.id] = session
        self._serve()

    def _serve(self) -> None:
        """Lend what is idle to those in line, and make as many sessions as may still be needed."""
        while self._line and not self._paused:
            if not self._line[0].waits:
                self._line.popleft()
            elif session := self._take_any(self._line[0].conversation):
                self._line.popleft().grant(session)
            else:
                break
        while self._creating < len(self._line) and self._can_create() and not self._paused:
            self._creating += 1
            self._tasks.start("create", self._create())

    def _take_any(self, conversation: str) -> FarSession | None:
        session = self._take_idle(conversation) or next(iter(self._idle.values()), None)
        if session is not None:
            self._idle.pop(session.id, None)
        return session

    async def _create(self) -> None:
        """One session more. Whoever is first in line gets it, so that a stuck one holds up nobody else."""
        try:
            await self._wire.ask("create_session", limit_s=self._settings.create_s)
        except BackendError as error:
            self._creating -= 1
            self._refused_until = monotonic() + REFUSED_S
            log.warning("The Inference Center made no session: %s", error.sentence)
            self._not_created(error)
        else:
            self._creating -= 1

    def _not_created(self, error: BackendError) -> None:
        """While others have sessions the line goes on behind them; else it makes no sense to wait."""
        if not self.sessions and not self._creating:
            line, self._line = self._line, deque()
            for place in line:
                place.refuse(busy(error.sentence) if error.code is not Code.UPSTREAM_LOST else error)
        self._serve()

    async def _recycle(self, session: FarSession) -> None:
        """In the safe order: abort, its end, and only then is the session lent again or closed."""
        if not session.has_ended:
            await self._wire.post("abort", session.id, lambda frame: self._aborted(session, frame))
            if not await session.ended(END_S):
                log.warning("A prompt did not end after its abort; session %s is left alone.", session.id)
                return
        if session.id not in self.sessions:
            return
        if session.is_sound:
            self._give_back(session)
        else:
            await self._close(session)

    def _aborted(self, session: FarSession, frame: Frame) -> bool:
        if frame.get("status") == "not_found":
            self.drop(session.id)
            session.lose()
        return True

    async def _close(self, session: FarSession) -> None:
        try:
            await self._wire.ask("close_session", session.id, limit_s=CLOSE_S)
        except BackendError as error:
            log.warning("The Inference Center did not close a session: %s", error.sentence)
        self.drop(session.id)


def busy(why: str) -> BackendError:
    """There is no session for a turn."""
    return BackendError(Code.ENGINE_BUSY, f"The Inference Center is busy: {why}. Try again soon.", 5.0)
