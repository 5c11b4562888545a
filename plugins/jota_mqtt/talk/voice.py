"""A node's voice: what it says is heard, what is said to it is sent in frames."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from jota_core.api import (
    Code,
    JotaError,
    ListenOptions,
    Refused,
    Sentences,
    SpeakOptions,
    TurnOptions,
    Utterance,
)

from ..wire.payloads import AudioStart
from ..wire.topics import of_node
from .ears import Ears, format_of
from .mouth import Mouth

if TYPE_CHECKING:
    from ..house import House
    from .conversation import Conversation

MOST_HELD = 128
"""Messages that wait until there is a session: some seconds of sound."""
MOST_SAYINGS = 8
BARGE_IN_CHARS = 5
ASKED = "You have just asked: “{0}” What follows is the answer to it."


class Voice:
    """Ears and mouth of one node."""

    def __init__(self, talk: Conversation, house: House) -> None:
        self.ears = Ears(self._begin)
        self.mouth = Mouth(self._send, talk.node.info.audio.frame_ms)
        self._talk = talk
        self._house = house
        self._held: list[Callable[[], None]] = []
        self._opening: asyncio.Task[None] | None = None
        self._question: str | None = None
        self._saying = asyncio.Lock()
        self._sayings = 0

    def do(self, act: Callable[[], None]) -> None:
        """At once, or in its order once there is a session. Raises `Refused`."""
        if self._talk.session is not None and not self._held:
            act()
            return
        if len(self._held) < MOST_HELD:
            self._held.append(act)
        if self._opening is None:
            self._opening = self._house.tasks.start(f"hear {self._talk.node.id}", self._open())

    async def _open(self) -> None:
        try:
            await self._talk.attach()
            while self._held:
                self._held.pop(0)()
        except JotaError as error:
            self._held.clear()
            await self._talk.fail(self.ears.turn, error)
        finally:
            self._opening = None

    def _begin(self, wish: AudioStart) -> Utterance:
        session, info = self._talk.session, self._talk.node.info
        if session is None:
            raise Refused(Code.BUSY, "The conversation is being opened; speak again in a moment.", 0.5)
        options = ListenOptions(wish.language or info.language)
        utterance = session.begin_utterance(
            options, format_of(wish), turn=self.options(), barge_in_chars=BARGE_IN_CHARS
        )
        self._talk.phase("listening", wish.turn)
        return utterance

    def options(self) -> TurnOptions:
        """Of the next turn: what was asked through the node belongs to it."""
        question, self._question = self._question, None
        return TurnOptions(system_extra=ASKED.format(question)) if question else TurnOptions()

    async def say(self, text: str, *, asks: bool) -> None:
        """Say a text as it stands; a question opens the node's microphone behind it. Raises `JotaError`."""
        if self._sayings >= MOST_SAYINGS:
            raise Refused(Code.BUSY, f"{MOST_SAYINGS} texts wait to be said. Try again in a moment.", 2.0)
        self._sayings += 1
        try:
            async with self._saying:
                await self._say(text, asks=asks)
        finally:
            self._sayings -= 1

    async def _say(self, text: str, *, asks: bool) -> None:
        turn, speech = self._talk.next_turn(), self._house.sessions.speech
        if self._talk.node.info.audio.down and speech.available:
            await self._speak(turn, text)
        body = {"turn": turn, "id": None, "text": text, "outcome": "said"}
        await self._talk.publish("res/final", body, qos=1)
        if asks:
            self._question = text
            await self._house.command(self._talk.node.id, "listen", orjson.dumps({"turn": turn}))

    async def _speak(self, turn: int, text: str) -> None:
        speech, sentences = self._house.sessions.speech, Sentences()
        options = SpeakOptions(self._talk.node.info.language)
        for sentence in (*sentences.add(text), sentences.rest()):
            if sentence:
                async for sound in speech.speak(sentence, options):
                    await self.mouth.say(turn, sound, speech.rate)
        await self.mouth.end(turn)

    async def _send(self, frame: bytes) -> None:
        await self._house.tell(of_node(self._talk.node.id, "audio/down"), frame)

    async def interrupted(self, turn: int) -> None:
        """Somebody spoke over an answer: the node drops what it has of it."""
        self.mouth.hush()
        await self._house.command(self._talk.node.id, "stop", orjson.dumps({"turn": turn}))

    def close(self) -> None:
        """Neither hear nor speak any more."""
        self.ears.close()
        self.mouth.hush()
        self._held.clear()
        if self._opening is not None:
            self._opening.cancel()
