"""One voice satellite: it says who it is, streams sound, and hears the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from jota_core.api import (
    AudioFormat,
    Code,
    Delta,
    JotaError,
    ListenOptions,
    Refused,
    ReminderDue,
    ReplyEvent,
    ReplySink,
    Session,
    Sessions,
    SpeakOptions,
    Transcribed,
    TurnBegan,
    TurnEnded,
    Utterance,
    UtteranceEnded,
)

from .deafness import Deafness
from .hello import Hello, hello_of, ready
from .replies import Replies

if TYPE_CHECKING:
    from ..chores import Chores
    from ..gate import Gate
    from ..ws.wire import Wire

HELLO_S = 10.0
IDLE_S = 300.0
SEND_S = 1.0
"""Satellites send the final text back to begin the turn; one that does not gets its turn after this."""
BARGE_IN_CHARS = 5
FLOAT32 = AudioFormat("float32")


class Satellite(ReplySink):
    """Listens to one wire; `wire` is set before `start`."""

    wire: Wire

    def __init__(self, gate: Gate, sessions: Sessions, chores: Chores, address: str | None) -> None:
        self._gate = gate
        self._sessions = sessions
        self._chores = chores
        self._address = address
        self._hello: Hello | None = None
        self._session: Session | None = None
        self._replies: Replies
        self._utterance: Utterance | None = None
        self._told = False  # a partial of this utterance
        self._unsent: str | None = None  # a final text that has become no turn yet
        self._sent: str | None = None  # the one that we have submitted ourselves
        self._deafness = Deafness()
        self._owed: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """The wire is open."""
        self._after(HELLO_S, lambda: self.wire.close(1008, "Handshake timeout"))

    @property
    def is_idle(self) -> bool:
        """Whether no answer is owed."""
        return not self._owed and self._utterance is None

    def text_received(self, text: str) -> None:
        if self._hello is None:
            self._greet(text)
        elif self._session is not None:
            self._rest()
            self._obey(text)

    def binary_received(self, data: bytes) -> None:
        if self._session is None:
            if self._hello is None:
                self.wire.close(1008, "Handshake invalido")
            return
        self._rest()
        if (self._utterance is None or self._utterance.is_ended) and self._deafness.is_over:
            self._listen(self._session)
        if self._utterance is not None:
            self._utterance.feed(data)

    def _greet(self, text: str) -> None:
        self._hello = hello_of(text)
        if self._hello is None:
            self.wire.close(1008, "Handshake invalido")
        else:
            self._chores.start(self._open(self._hello))

    async def _open(self, hello: Hello) -> None:
        try:
            principal = await self._gate.known(hello.client_key, None, self._address)
            session = await self._sessions.open(principal, self, door=self._gate.section, lazy=True)
        except Refused as error:
            busy = error.code in (Code.BUSY, Code.SERVER_RESTART)
            reason = "Servicio crítico no disponible" if busy else "Clave de cliente invalida o inactiva"
            self.wire.close(1011 if busy else 1008, reason)
        except JotaError:
            self.wire.close(1011, "Servicio de identidad no disponible")
        else:
            self._opened(hello, session)

    def _opened(self, hello: Hello, session: Session) -> None:
        if not self.wire.is_open:
            self._chores.start(session.close())
            return
        self._session = session
        self._replies = Replies(self._send, self.wire.send_binary, hello.output_mode)
        if "audio" in hello.output_mode:
            session.speak(SpeakOptions(hello.language))
        hears, speaks = self._sessions.transcription.available, self._sessions.speech.available
        number = f"{session.principal.id}:{time.time_ns() // 1_000_000}"
        self._send(ready(hello, number, hears=hears, speaks=speaks))
        self._rest()

    def _obey(self, text: str) -> None:
        fields = _fields(text)
        kind = fields.get("type")
        said = fields.get("text")
        if kind == "end":
            if self._utterance is not None:
                self._utterance.end()
            else:
                self._deafness.ended(self._replies)
        elif kind == "cancel":
            self._cancel()
        elif isinstance(said, str):
            self._take(said)
        elif not fields:
            self._take(text)

    def _take(self, text: str) -> None:
        """The satellite submits what was heard, or what was typed."""
        if self._sent is not None and text == self._sent:
            self._sent = None  # we were quicker
            return
        self._unsent = None
        if not text.strip():
            self._replies.empty_turn()
        else:
            self._submit(text)

    def _submit(self, text: str) -> None:
        assert self._session is not None
        try:
            self._owed.add(self._session.submit(text))
        except Refused as error:
            self._replies.failed(error.sentence)

    def _cancel(self) -> None:
        assert self._session is not None
        self._unsent = None
        if self._utterance is not None:
            self._utterance.cancel()
        if self._session.cancel():
            self._send({"type": "interrupted"})

    def _listen(self, session: Session) -> None:
        assert self._hello is not None
        options = ListenOptions(self._hello.language)
        try:
            self._utterance = session.begin_utterance(
                options, FLOAT32, turn=None, barge_in_chars=BARGE_IN_CHARS
            )
            self._told = False
        except Refused:
            pass  # the last one is still being decided: what is said meanwhile belongs to nobody

    async def send(self, event: ReplyEvent) -> None:
        if type(event) is Delta:
            self._replies.delta(event)
        elif isinstance(event, TurnBegan):
            self._owed.add(event.turn_id)
            self._replies.began(event)
        elif isinstance(event, Transcribed):
            self._transcribed(event)
        elif isinstance(event, UtteranceEnded):
            self._heard(event)
        else:
            self._replies.tell(event)
        if isinstance(event, TurnEnded):
            self._owed.discard(event.turn_id)
            self._rest()
            self._chores.turn_ended(self)
        if self.wire.is_full:
            await self.wire.drained()

    def _transcribed(self, event: Transcribed) -> None:
        heard = event.transcript
        self._deafness.heard(self._replies)
        if not heard.is_final:
            self._told = True
            self._send({"type": "transcription_partial", "text": heard.text})
        elif heard.text or not (self._told or self._owed or self._unsent or self._sent):
            self._sent, self._unsent = None, heard.text
            self._send({"type": "transcription", "text": heard.text})
            self._chores.start(self._submit_soon(heard.text))

    async def _submit_soon(self, text: str) -> None:
        await asyncio.sleep(SEND_S)
        if self._unsent is text and self.wire.is_open:
            self._unsent, self._sent = None, text
            if text:
                self._submit(text)
            else:
                self._replies.empty_turn()

    def _heard(self, event: UtteranceEnded) -> None:
        if self._utterance is not None and self._utterance.id == event.utterance_id:
            self._utterance = None
        if event.error is not None:
            self._deafness.failed(event.error, self._replies)
        self._chores.turn_ended(self)

    def _send(self, frame: dict[str, Any]) -> None:
        self.wire.send(orjson.dumps(frame))

    def _rest(self) -> None:
        """Something came: the time of silence begins anew."""
        self._after(IDLE_S, self._idle)

    def _idle(self) -> None:
        if self._owed:
            self._rest()
        else:
            self.wire.close(1000, "")

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.wire.is_open:
            self._timer = asyncio.get_running_loop().call_later(seconds, act)

    def too_large(self, limit: int) -> None:
        if self._session is not None:
            self._replies.failed(f"The message has more than {limit} bytes, which is the most.")

    def reminded(self, due: ReminderDue) -> None:
        """Satellites know no reminders."""

    def draining(self) -> None:
        self._chores.turn_ended(self)

    def too_slow(self) -> None:
        self.wire_lost()

    def wire_lost(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._session is not None:
            self._chores.start(self._session.close())


def _fields(text: str) -> dict[str, Any]:
    """The frame; nothing when it is plain text."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
