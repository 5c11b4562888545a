"""What a node is told of its turns: pieces put together, one end each, sound in frames."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from jota_core.api import (
    BargedIn,
    Delta,
    ErrorInfo,
    JotaError,
    Outcome,
    ReplyEvent,
    ReplySink,
    Sound,
    SpeechFailed,
    Transcribed,
    TurnBegan,
    TurnEnded,
    UtteranceEnded,
)

from ..wire.topics import OLDER_RESPONSE

if TYPE_CHECKING:
    from .conversation import Conversation
    from .requests import Request


class Replies(ReplySink):
    """The sink of one node's session."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._request: Request | None = None
        """Whose answer is being written."""
        self._unsent = ""
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0

    async def send(self, event: ReplyEvent) -> None:
        if type(event) is Delta:
            await self._delta(event.text)
        elif isinstance(event, TurnBegan):
            self._began(event)
        elif isinstance(event, TurnEnded):
            await self._ended(event)
        elif isinstance(event, Sound):
            await self._talk.voice.mouth.say(self._talk.turn_of(event.turn_id), event.samples, event.rate)
        else:
            await self._tell_of_speech(event)

    def _began(self, event: TurnBegan) -> None:
        self._request = request = self._talk.request_of(event.turn_id)
        request.accepted()
        self._talk.phase("thinking", request.turn)

    async def _delta(self, text: str) -> None:
        """Sent at once, unless one was sent just now: then what comes meanwhile goes together."""
        request = self._request
        if request is None:
            return
        request.text += text
        self._unsent += text
        wait = self._next - asyncio.get_running_loop().time()
        if wait <= 0:
            await self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(wait, self._due)

    def _due(self) -> None:
        self._timer = None
        self._talk.start(self._flush())

    async def _flush(self) -> None:
        request, text = self._request, self._unsent
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if request is None or not text:
            return
        self._unsent = ""
        self._next = asyncio.get_running_loop().time() + self._talk.every_s
        request.seq += 1
        if request.response_topic is None:
            await self._talk.publish("res/delta", {**request.head, "seq": request.seq, "text": text})

    async def _ended(self, event: TurnEnded) -> None:
        await self._flush()
        request = self._talk.request_of(event.turn_id)
        self._request = None
        request.accepted()
        await self._talk.voice.mouth.end(request.turn)
        await self.end(request, *final_of(request, event))
        self._talk.over(request, event)

    async def end(self, request: Request, kind: str, body: dict[str, Any]) -> None:
        """The one end of a request, where it wants it."""
        if request.response_topic is not None:
            await self._talk.publish_at(request.response_topic, orjson.dumps(body), request.correlation)
        else:
            await self._talk.publish(f"res/{kind}", body, qos=1)
        if request.older_client is not None:
            await self._talk.publish_at(OLDER_RESPONSE + request.older_client, request.text.encode(), None)

    async def _tell_of_speech(self, event: ReplyEvent) -> None:
        talk = self._talk
        if isinstance(event, Transcribed):
            await self._transcribed(event)
        elif isinstance(event, UtteranceEnded):
            await self._utterance_ended(event)
        elif isinstance(event, BargedIn):
            await talk.voice.interrupted(talk.turn_of(event.turn_id))
        elif isinstance(event, SpeechFailed) and self._request is not None:
            self._request.sound_trouble = error_of(event.error)

    async def _transcribed(self, event: Transcribed) -> None:
        heard, ears = event.transcript, self._talk.voice.ears
        self._heard += 1
        body: dict[str, Any] = {
            "turn": ears.turn, "seq": self._heard, "text": heard.text, "is_final": heard.is_final,
            "language": heard.language,
        }  # fmt: skip
        if heard.is_final:
            body |= {"ended_by": heard.ended_by, "is_complete": heard.is_complete, "lost_frames": ears.lost}
        await self._talk.publish("res/transcript", body, qos=int(heard.is_final))

    async def _utterance_ended(self, event: UtteranceEnded) -> None:
        talk = self._talk
        self._heard = 0
        if event.turn_id is not None:
            talk.request_of(event.turn_id)  # numbered now: the next utterance has another number
        elif event.error is not None:
            await talk.publish(
                "res/error", {"turn": talk.voice.ears.turn, "id": None, **error_of(event.error)}, qos=1
            )
        if event.turn_id is None:
            talk.phase("idle", None)
        try:
            talk.voice.ears.over(event.utterance_id)
        except JotaError as error:
            await talk.fail(None, error)


def final_of(request: Request, event: TurnEnded) -> tuple[str, dict[str, Any]]:
    """`final` with the whole text, or `error` when there is none; the text of a cut answer is final too."""
    error = None if event.error is None else error_of(event.error)
    if error is not None and not request.text:
        return "error", {**request.head, "conversation_id": event.conversation_id, **error}
    stats = event.stats
    body: dict[str, Any] = {
        **request.head, "text": request.text, "outcome": event.outcome,
        "conversation_id": event.conversation_id, "message_id": event.message_id,
        "persisted": event.persisted,
        "timings": {
            "ttft_ms": stats.ttft_ms, "total_ms": stats.total_ms, "tokens": stats.tokens,
            "tokens_per_second": stats.tps, "model": stats.model,
        },
    }  # fmt: skip
    if request.sound_trouble is not None:
        body["sound"] = request.sound_trouble
    if event.outcome is not Outcome.COMPLETE and error is not None:
        body |= error
    return "final", body


def error_of(error: ErrorInfo | JotaError) -> dict[str, Any]:
    """An error as nodes read it."""
    told = {"code": str(error.code), "message": error.sentence}
    return told if error.retry_after_s is None else {**told, "retry_after_s": error.retry_after_s}
