"""One session: its queue of turns and the worker that runs them, which exists only while there are any."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from jota_core.api import (
    AudioFormat,
    Code,
    ErrorInfo,
    JotaError,
    ListenOptions,
    Outcome,
    Principal,
    Refused,
    ReplySink,
    Session,
    SpeakOptions,
    TranscriptionBackend,
    TurnEnded,
    TurnFinished,
    TurnOptions,
    Utterance,
    turn_under_way,
)

from .conversations import LiveConversation
from .spoken import SpokenReply
from .turn import Turn, log_end
from .utterances import LiveUtterance

if TYPE_CHECKING:
    from .sessions import SessionHub

TURN_ID = re.compile(r"[0-9A-Za-z:_-]{1,64}")


class LiveSession(Session):
    """An attachment of one user; ten thousand idle ones must be cheap, so it owns no task while idle."""

    __slots__ = (
        "_closed",
        "_current",
        "_heard",
        "_hub",
        "_listening",
        "_queue",
        "_worker",
        "door",
        "id",
        "live",
        "principal",
        "reply",
    )

    def __init__(
        self, hub: SessionHub, session_id: str, principal: Principal, reply: ReplySink, door: str
    ) -> None:
        self.id = session_id
        self.principal = principal
        self.door = door
        self.live: LiveConversation | None = None
        self._hub = hub
        self.reply = reply
        self._queue: deque[Turn] | None = None
        self._current: Turn | None = None
        self._worker: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._heard: Utterance | None = None
        self._closed = False

    @property
    def transcription(self) -> TranscriptionBackend:
        """Who hears."""
        return self._hub.transcription

    @property
    def waiting(self) -> int:
        """Messages that wait for their turn."""
        return len(self._queue) if self._queue else 0

    @property
    def running_turn(self) -> str | None:
        """The turn that is being answered, or said aloud."""
        if self._current is not None:
            return self._current.id
        return self.reply.turn_id if isinstance(self.reply, SpokenReply) else None

    @property
    def conversation_id(self) -> int | None:
        return self.live.id if self.live else None

    def submit(self, text: str, options: TurnOptions = TurnOptions(), *, turn_id: str | None = None) -> str:
        self._check(text)
        if turn_id is not None and not TURN_ID.fullmatch(turn_id):
            raise Refused(Code.INVALID_REQUEST, f"{turn_id[:64]!r} is not a turn's id.")
        turn = Turn(self._hub.parts, text, self.principal, self.reply, options, turn_id)
        if self._queue is None:
            self._queue = deque()
        self._queue.append(turn)
        if self._worker is None:
            self._worker = self._hub.tasks.start(self.id, self._work())
        return turn.id

    def _check(self, text: str) -> None:
        limits = self._hub.parts.limits
        if self._closed or self._hub.draining:
            raise Refused(Code.SERVER_RESTART, "This session is closing; connect again.", retry_after_s=2.0)
        if not text.strip():
            raise Refused(Code.INVALID_REQUEST, "The message is empty. Send some text.")
        size = _bytes(text)
        if size is None or "\0" in text:
            raise Refused(
                Code.INVALID_REQUEST,
                "The message holds characters that no text may hold (NUL or half a pair).",
            )
        if size > limits.max_text_bytes:
            raise Refused(
                Code.TOO_LARGE, f"The message has {size} bytes; {limits.max_text_bytes} are the most."
            )
        if self._queue is not None and len(self._queue) >= limits.queue_limit:
            raise Refused(
                Code.BUSY, f"{len(self._queue)} messages are waiting already. Wait for an answer first.", 1.0
            )

    async def _work(self) -> None:
        """Run what is queued, one by one, and end."""
        try:
            while self._queue:
                self._current = self._queue.popleft()
                await self._run(self._current)
        finally:
            self._current = self._worker = None
            if not self._queue:
                self._queue = None

    async def _run(self, turn: Turn) -> None:
        turn_under_way.set(turn.id)
        try:
            if self.live is None:
                self.live = await self._hub.attach(self.principal.id)
        except JotaError as error:
            ended = _refusal(turn.id, error)
            await self.reply.send(ended)
        else:
            async with self.live.turn_lock:
                self._hub.running.add(turn)
                try:
                    ended = await turn.run(self.live)
                finally:
                    self._hub.running.discard(turn)
        if ended.error and ended.error.code is Code.NOT_FOUND:
            self.live = None  # deleted meanwhile: the next message begins anew
        log_end(ended)
        code = ended.error.code.value if ended.error else None
        self._hub.parts.bus.publish(TurnFinished(turn.id, self.door, ended.outcome, ended.stats, code))

    def begin_utterance(
        self,
        options: ListenOptions = ListenOptions(),
        audio: AudioFormat = AudioFormat(),
        *,
        turn: TurnOptions | None = TurnOptions(),
        barge_in_chars: int = 0,
    ) -> Utterance:
        if self._closed or self._hub.draining:
            raise Refused(Code.SERVER_RESTART, "This session is closing; connect again.", retry_after_s=2.0)
        if self._listening is not None:
            raise Refused(Code.BUSY, "An utterance is being heard already. End it first.", 1.0)
        limit_s = min(options.limit_s, self._hub.parts.limits.utterance_s)
        live = LiveUtterance(self, replace(options, limit_s=limit_s), audio, turn, barge_in_chars)
        self._heard = live.utterance
        self._listening = self._hub.tasks.start(live.utterance.id, self._listen(live))
        return live.utterance

    async def _listen(self, live: LiveUtterance) -> None:
        try:
            await live.run()
        finally:
            self.heard(live)

    def heard(self, live: LiveUtterance) -> None:
        """An utterance is over; the next may begin."""
        if self._heard is live.utterance:
            self._listening = self._heard = None

    def stop_listening(self) -> None:
        """What is being said becomes no turn any more."""
        if self._heard is not None:
            self._heard.cancel()

    def cancel(self, turn_id: str | None = None) -> bool:
        owed = [*([self._current] if self._current else []), *(self._queue or ())]
        found = [turn for turn in owed if turn.id == turn_id] if turn_id else owed[:1]
        for turn in found:
            turn.cut(Code.CANCELLED, "The turn was cancelled; the text so far is kept.")
        is_hushed = isinstance(self.reply, SpokenReply) and self.reply.hush(turn_id)
        return bool(found) or is_hushed

    def speak(self, options: SpeakOptions | None) -> None:
        hub, silent = self._hub, self.reply.reply if isinstance(self.reply, SpokenReply) else self.reply
        self.reply = silent if options is None else SpokenReply(silent, hub.speech, options, hub.tasks)

    async def switch_model(self, model_id: str) -> None:
        if self.live is None:
            self.live = await self._hub.attach(self.principal.id)
        await self._hub.load_model(model_id)
        await self._hub.memory.set_model(self.live.id, self.live.owner, model_id)
        self.live.model_id = model_id

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._queue:
            self._queue.clear()
        if self._listening is not None:
            self._listening.cancel()
        if isinstance(self.reply, SpokenReply):
            self.reply.hush()
        if self._current:
            self._current.cut(Code.CANCELLED, "The app went away; the text so far is kept.")
        if self._worker and self._worker is not asyncio.current_task():
            await asyncio.wait({self._worker}, timeout=self._hub.parts.limits.store_timeout_s + 1)
        self._hub.detach(self)


def _bytes(text: str) -> int | None:
    """Its size as UTF-8; None when half a surrogate pair makes it no text."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return None


def _refusal(turn_id: str, error: JotaError) -> TurnEnded:
    info = ErrorInfo(error.code, error.sentence, error.retry_after_s)
    return TurnEnded(turn_id, None, None, Outcome.FAILED, persisted=False, error=info)
