"""A reply that is also said aloud, sentence by sentence, until somebody speaks over it."""

from __future__ import annotations

import asyncio

from jota_core.api import (
    Code,
    Delta,
    ErrorInfo,
    JotaError,
    ReplyEvent,
    ReplySink,
    Sentences,
    Sound,
    SpeakOptions,
    SpeechBackend,
    SpeechFailed,
    TaskOwner,
    TurnBegan,
    TurnEnded,
)

from .cutter import closing

MOST_WAITING = 256
"""Sentences that wait to be said; more are not said."""


class SpokenReply(ReplySink):
    """Passes every event on; `TurnEnded` comes after the last sound of its turn."""

    def __init__(
        self, reply: ReplySink, speech: SpeechBackend, options: SpeakOptions, tasks: TaskOwner
    ) -> None:
        self.reply = reply
        self._speech = speech
        self._options = options
        self._tasks = tasks
        self._speaking: Speaking | None = None

    async def send(self, event: ReplyEvent) -> None:
        speaking = self._speaking
        if isinstance(event, TurnBegan):
            await self._begin(event)
        elif type(event) is Delta and speaking is not None:
            await self.reply.send(event)
            speaking.add(event.text)
        elif isinstance(event, TurnEnded) and speaking is not None and speaking.turn_id == event.turn_id:
            speaking.finish(event)
        else:
            await self.reply.send(event)

    async def _begin(self, began: TurnBegan) -> None:
        """The answer before has to be said first."""
        if self._speaking is not None:
            await self._speaking.over.wait()
        await self.reply.send(began)
        self._speaking = Speaking(began.turn_id, self.reply, self._speech, self._options)
        self._tasks.start(f"speak {began.turn_id}", self._speaking.run())

    def hush(self, turn_id: str | None = None) -> bool:
        """Say no more of this turn, or of the one that is being said; False when there is none."""
        speaking = self._speaking
        if speaking is None or speaking.over.is_set() or turn_id not in (None, speaking.turn_id):
            return False
        speaking.hush()
        return True

    @property
    def turn_id(self) -> str | None:
        """The turn that is being said."""
        return self._speaking.turn_id if self._speaking and not self._speaking.over.is_set() else None


class Speaking:
    """One answer while it is said."""

    def __init__(self, turn_id: str, reply: ReplySink, speech: SpeechBackend, options: SpeakOptions) -> None:
        self.turn_id = turn_id
        self.over = asyncio.Event()
        self._reply = reply
        self._speech = speech
        self._options = options
        self._sentences = Sentences()
        self._waiting: asyncio.Queue[str | TurnEnded] = asyncio.Queue(MOST_WAITING)
        self._is_hushed = False
        self._hushed = asyncio.Event()

    def add(self, text: str) -> None:
        """The answer goes on; never waits."""
        for sentence in self._sentences.add(text):
            self._put(sentence)

    def finish(self, ended: TurnEnded) -> None:
        """The text is whole; its end is told behind the last sound."""
        if ended.error is not None and ended.error.code is Code.CANCELLED:
            self.hush()
        self._put(self._sentences.rest())
        while self._waiting.full():
            self._waiting.get_nowait()  # more than anybody listens to
        self._waiting.put_nowait(ended)

    def _put(self, sentence: str) -> None:
        if sentence and self._waiting.qsize() < MOST_WAITING - 1:
            self._waiting.put_nowait(sentence)

    def hush(self) -> None:
        """Say no more of it."""
        self._is_hushed = True
        self._hushed.set()

    async def run(self) -> None:
        """Say everything, then tell the end."""
        try:
            while isinstance(what := await self._waiting.get(), str):
                if not self._is_hushed:
                    await self._say(what)
            await self._reply.send(what)
        finally:
            self.over.set()

    async def _say(self, sentence: str) -> None:
        try:
            async with closing(self._speech.speak(sentence, self._options)) as sounds:
                rate = self._speech.rate
                async for sound in sounds:
                    if self._is_hushed:
                        return
                    await self._reply.send(Sound(self.turn_id, sound, rate))
        except JotaError as error:
            self.hush()
            info = ErrorInfo(error.code, error.sentence, error.retry_after_s)
            await self._reply.send(SpeechFailed(self.turn_id, info))
