"""The session behind one WebSocket."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from jota_core.api import (
    BackendError,
    Code,
    Delta,
    JotaError,
    Refused,
    ReminderDue,
    ReplyEvent,
    ReplySink,
    Session,
    Status,
    TurnBegan,
    TurnEnded,
)

from .commands import Any_, AudioEnd, AudioStart, Cancel, Prompt, Speak, SwitchModel, parse
from .frames import Style, end_frame, error_frame, named
from .voice import Voice

if TYPE_CHECKING:
    from ..chores import Chores
    from .wire import Wire

TEXT_ONLY = "Binary messages are not understood here; send text."
NO_SOUND = "Binary messages are sound, and that begins with an `audio_start` frame."
WAITING = 32
"""So many messages may wait for a model to be loaded."""


class Chat(ReplySink):
    """Turns what the app sends into turns, and their events into frames."""

    __slots__ = ("_asked", "_chores", "_style", "_switching", "_voice", "_waiting", "session", "wire")
    session: Session
    wire: Wire

    def __init__(self, style: Style, chores: Chores) -> None:
        self._style = style
        self._chores = chores
        self._asked: dict[str, str | int | None] = {}
        """Turns that have not ended, with the app's own ids."""
        self._waiting: deque[Prompt | SwitchModel] | None = None
        self._switching = False
        self._voice: Voice | None = None

    def start(self, model_id: str | None) -> None:
        """The wire is open: say so, and switch to the model asked for in the address."""
        if self._style.takes_controls:
            self.wire.send(self._style.opened(self.session))
        if model_id:
            self._switch(SwitchModel(type="switch_model", model_id=model_id))

    @property
    def is_idle(self) -> bool:
        """Whether no answer is owed."""
        return not self._asked and not self._switching

    async def send(self, event: ReplyEvent) -> None:
        """The token path: nothing here waits unless the client is slow."""
        if type(event) is Delta:
            self.wire.send(self._style.token(event.text))
        else:
            self._tell(event)
        if self.wire.is_full:
            await self.wire.drained()

    def _tell(self, event: ReplyEvent) -> None:
        if isinstance(event, TurnBegan):
            self._send(self._style.began(event, self._asked.get(event.turn_id)))
        elif isinstance(event, Status):
            frame = {"type": "status", "content": event.text, "turn_id": event.turn_id}
            self._send(self._style.frame(named(frame, self._asked.get(event.turn_id))))
        elif isinstance(event, TurnEnded):
            self._send(self._style.frame(end_frame(event, self._asked.pop(event.turn_id, None))))
            self._chores.turn_ended(self)
        elif self._voice is not None and not isinstance(event, Delta):
            self._voice.tell(event)

    def _send(self, frame: bytes) -> None:
        if frame:
            self.wire.send(frame)

    def _refuse(self, error: JotaError, asked: str | int | None = None) -> None:
        self._send(self._style.frame(error_frame(error, asked)))

    def text_received(self, text: str) -> None:
        try:
            command = parse(text) if self._style.takes_controls else Prompt(type="prompt", text=text)
        except Refused as error:
            self._refuse(error)
        else:
            self._obey(command)

    def _obey(self, command: Any_) -> None:
        if isinstance(command, Cancel):
            self._cancel(command)
        elif isinstance(command, AudioStart | AudioEnd | Speak):
            self._speak(command)
        elif self._switching:
            self._wait(command)
        elif isinstance(command, SwitchModel):
            self._switch(command)
        else:
            self._ask(command)

    def _ask(self, prompt: Prompt) -> None:
        try:
            turn_id = self.session.submit(prompt.text, prompt.options.options())
        except Refused as error:
            self._refuse(error, prompt.id)
        else:
            self._asked[turn_id] = prompt.id

    def _speak(self, command: AudioStart | AudioEnd | Speak) -> None:
        voice = self._voice = self._voice or Voice(self, lambda frame: self._send(self._style.frame(frame)))
        try:
            if isinstance(command, AudioStart):
                voice.start(command)
            elif isinstance(command, AudioEnd):
                voice.end()
            else:
                voice.speak(command)
        except Refused as error:
            self._refuse(error)

    def _cancel(self, command: Cancel) -> None:
        turn_id = command.turn_id
        if turn_id is None and command.id is not None:
            turn_id = next((turn for turn, asked in self._asked.items() if asked == command.id), "")
        is_heard = turn_id is None and self._voice is not None and self._voice.cancel()
        if not self.session.cancel(turn_id) and not is_heard:
            frame = {"type": "status", "content": "There is nothing to cancel.", "turn_id": turn_id or None}
            self._send(self._style.frame(named(frame, command.id)))

    def _wait(self, command: Prompt | SwitchModel) -> None:
        """What comes while a model is loading is done afterwards, in order."""
        if self._waiting is None:
            self._waiting = deque()
        if len(self._waiting) >= WAITING:
            busy = f"{WAITING} messages wait for the model already. Wait for it first."
            self._refuse(Refused(Code.BUSY, busy, 1.0), getattr(command, "id", None))
        else:
            self._waiting.append(command)

    def _switch(self, command: SwitchModel) -> None:
        self._switching = True
        self._chores.start(self._switched(command.model_id))

    async def _switched(self, model_id: str) -> None:
        try:
            await self.session.switch_model(model_id)
            self._send(self._style.frame({"type": "model_switched", "model_id": model_id}))
        except JotaError as error:
            self._refuse(error)
        finally:
            self._switching = False
        while self._waiting and not self._switching:
            self._obey(self._waiting.popleft())
        self._chores.turn_ended(self)

    def binary_received(self, data: bytes) -> None:
        try:
            if self._voice is None:
                raise Refused(Code.INVALID_REQUEST, NO_SOUND if self._style.takes_controls else TEXT_ONLY)
            self._voice.sound(data)
        except Refused as error:
            self._refuse(error)

    def too_large(self, limit: int) -> None:
        self._refuse(Refused(Code.TOO_LARGE, f"The message has more than {limit} bytes, which is the most."))

    def reminded(self, due: ReminderDue) -> None:
        if due.owner in (None, self.session.principal.id):
            frame = {"type": "reminder", "reminder_id": due.reminder_id, "content": due.message, "at": due.at}
            self._send(self._style.frame(frame))

    def draining(self) -> None:
        self._chores.turn_ended(self)

    def too_slow(self) -> None:
        self._refuse(BackendError(Code.SLOW_CONSUMER, "Answers were not read for too long."))
        self._chores.start(self.session.close())

    def wire_lost(self) -> None:
        """The app is gone; nothing more is generated for it."""
        self._waiting = None
        self._chores.start(self.session.close())
