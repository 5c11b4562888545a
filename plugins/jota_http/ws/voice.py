"""Speech over an app's WebSocket: sound in, transcripts and sound out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jota_core.api import (
    AudioFormat,
    BargedIn,
    Code,
    ListenOptions,
    Refused,
    Sound,
    SpeakOptions,
    SpeechEvent,
    SpeechFailed,
    Transcribed,
    Utterance,
    UtteranceEnded,
    UtteranceStrained,
)

from .commands import AudioStart, Speak

if TYPE_CHECKING:
    from .chat import Chat

Tell = Callable[[dict[str, Any]], None]


class Voice:
    """The spoken side of one chat."""

    __slots__ = ("_chat", "_said", "_tell", "_utterance")

    def __init__(self, chat: Chat, tell: Tell) -> None:
        self._chat = chat
        self._tell = tell
        self._utterance: Utterance | None = None
        self._said: str | None = None
        """The turn whose sound is being sent."""

    def start(self, asked: AudioStart) -> None:
        """Begin to listen. Raises `Refused`."""
        options = ListenOptions(language=asked.language, ends_itself=asked.ends_itself, prompt=asked.prompt)
        audio = AudioFormat(asked.encoding, asked.rate, asked.channels)
        turn = asked.options.options() if asked.submit else None
        self._utterance = self._chat.session.begin_utterance(
            options, audio, turn=turn, barge_in_chars=asked.barge_in_min_chars
        )
        self._tell({"type": "utterance", "utterance_id": self._utterance.id})

    def end(self) -> None:
        """The app has sent all sound. Raises `Refused`."""
        self._heard().end()

    def cancel(self) -> bool:
        """Forget what is being said; False when nothing is."""
        utterance = self._utterance
        if utterance is None:
            return False
        utterance.cancel()
        return True

    def sound(self, data: bytes) -> None:
        """More sound; what comes after an utterance ended by itself is ignored. Raises `Refused`."""
        self._heard().feed(data)

    def speak(self, asked: Speak) -> None:
        """Say answers aloud, or no longer."""
        options = SpeakOptions(asked.language, asked.voice, asked.speed)
        self._chat.session.speak(options if asked.on else None)

    def _heard(self) -> Utterance:
        if self._utterance is None:
            raise Refused(Code.INVALID_REQUEST, "Send an `audio_start` frame before the sound.")
        return self._utterance

    def tell(self, event: SpeechEvent) -> None:
        """An event as frames."""
        if isinstance(event, Sound):
            self._sound(event)
        elif isinstance(event, Transcribed):
            self._transcribed(event)
        elif isinstance(event, UtteranceEnded):
            self._ended(event)
        elif isinstance(event, UtteranceStrained):
            state = "busy" if event.is_strained else "ok"
            self._tell(
                {"type": "status", "state": state, "content": f"The ears are {state}.", "turn_id": None}
            )
        elif isinstance(event, BargedIn):
            self._tell({"type": "interrupted", "turn_id": event.turn_id})
        elif isinstance(event, SpeechFailed):
            frame = {"type": "speech_failed", "turn_id": event.turn_id, "code": event.error.code}
            self._tell(frame | {"message": event.error.sentence})

    def _sound(self, event: Sound) -> None:
        if self._said != event.turn_id:
            self._said = event.turn_id
            frame = {"type": "sound", "turn_id": event.turn_id, "encoding": "pcm16"}
            self._tell(frame | {"rate": event.rate, "channels": 1})
        self._chat.wire.send_binary(event.samples)

    def _transcribed(self, event: Transcribed) -> None:
        heard = event.transcript
        frame: dict[str, Any] = {"type": "transcript", "utterance_id": event.utterance_id, "text": heard.text}
        frame |= {"is_final": heard.is_final, "language": heard.language}
        if heard.is_final:
            frame |= {"ended_by": heard.ended_by, "is_complete": heard.is_complete}
        self._tell(frame)

    def _ended(self, event: UtteranceEnded) -> None:
        frame = {"type": "utterance_end", "utterance_id": event.utterance_id, "turn_id": event.turn_id}
        if event.error is not None:
            frame |= {"code": event.error.code, "message": event.error.sentence}
        self._tell(frame)
