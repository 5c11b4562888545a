"""What a satellite is sent: turns are numbered for it, and sound carries the number of its turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jota_core.api import (
    BargedIn,
    Code,
    Delta,
    ReplyEvent,
    Sound,
    SpeechFailed,
    TurnBegan,
    TurnEnded,
    UtteranceStrained,
)

SOUND = 0xA1
MOST_TURNS = 64
"""Turns whose numbers are remembered."""


class Replies:
    """Turns events into the gateway's frames."""

    def __init__(
        self,
        send: Callable[[dict[str, Any]], None],
        send_binary: Callable[[bytes], None],
        modes: tuple[str, ...],
    ) -> None:
        self._send = send
        self._send_binary = send_binary
        self._modes = modes
        self._numbers: dict[str, int] = {}
        self._last = 0

    def empty_turn(self) -> None:
        """A turn without words: satellites wait for one."""
        self._last += 1
        self._send({"type": "turn_start", "turn_id": f"t-{self._last}", "turn_seq": self._last})
        self._send({"type": "turn_end", "turn_id": f"t-{self._last}"})

    def began(self, event: TurnBegan) -> None:
        """Number it."""
        self._last += 1
        self._numbers[event.turn_id] = self._last
        while len(self._numbers) > MOST_TURNS:
            del self._numbers[next(iter(self._numbers))]
        self._send({"type": "turn_start", "turn_id": f"t-{self._last}", "turn_seq": self._last})

    def delta(self, event: Delta) -> None:
        """Satellites read `content`, the gateway's own documents say `text`."""
        if "text" in self._modes:
            frame = {"type": "token", "turn_id": f"t-{self._last}", "text": event.text}
            self._send(frame | {"content": event.text})

    def tell(self, event: ReplyEvent) -> None:
        """Everything else."""
        if isinstance(event, Sound):
            number = self._numbers.get(event.turn_id, 0)
            self._send_binary(bytes((SOUND,)) + (number & 0xFFFF).to_bytes(2, "big") + event.samples)
        elif isinstance(event, TurnEnded):
            self._ended(event)
        elif isinstance(event, BargedIn):
            self._send({"type": "interrupted"})
        elif isinstance(event, SpeechFailed):
            self.status("tts", "unavailable", event.error.code, event.error.sentence)
        elif isinstance(event, UtteranceStrained):
            self.status("transcriber", "degraded" if event.is_strained else "restored")

    def _ended(self, event: TurnEnded) -> None:
        number = self._numbers.pop(event.turn_id, None)
        if number is None:  # it never began: refused before it was stored
            self._last += 1
            number = self._last
            self._send({"type": "turn_start", "turn_id": f"t-{number}", "turn_seq": number})
        if event.error is not None and event.error.code is not Code.CANCELLED:
            self.failed(event.error.sentence, f"t-{number}")
        self._send({"type": "turn_end", "turn_id": f"t-{number}"})

    def failed(self, sentence: str, turn_id: str | None = None) -> None:
        """The only error that satellites know."""
        frame = {"type": "error", "code": "TURN_ERROR", "message": sentence, "fatal": False}
        self._send(frame | {"turn_id": turn_id})

    def status(self, service: str, state: str, code: str | None = None, message: str | None = None) -> None:
        """How a part of the house is."""
        if "status" in self._modes:
            frame = {"type": "status", "service": service, "state": state}
            self._send(frame | {name: text for name, text in (("code", code), ("message", message)) if text})
