"""A node's ears: frames in their order become an utterance; loss is counted, old sound is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from jota_core.api import AudioFormat, Code, Refused, Utterance

from ..wire.frames import Frame, is_newer
from ..wire.payloads import AudioStart

MOST_EARLY = 16
"""Frames that wait for a start which is still on its way: QoS 0 overtakes QoS 1."""
LATE_S = 0.15
"""Sound is waited for so long after a stop; the bit in the last frame ends at once."""
MOST_WAITING = 100
"""Frames of an utterance that begins while the last one is still being decided."""
NO_START = "Sound came without a start; send `req/audio/start` first, or set bit 0 of the first frame."
Begin = Callable[[AudioStart], Utterance]


class Ears:
    """Sound of one node. `begin` opens an utterance and raises `Refused` where that is not possible."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self.turn = -1
        """Number of the utterance that is heard, or was heard last."""
        self.utterance: Utterance | None = None
        self.lost = 0
        """Frames of this utterance that never came."""
        self._next = 0
        self._early: list[Frame] = []
        self._refused = -1
        self._ending: asyncio.TimerHandle | None = None
        self._wanted: AudioStart | None = None
        self._is_short = False  # the one wanted is over already

    def start(self, wish: AudioStart) -> None:
        """The node begins to speak; the same start again changes nothing. Raises `Refused`."""
        if wish.turn == self.turn:
            return
        if self.utterance is not None:
            self._wait_for_the_last(wish)
            return
        self.utterance, self._wanted = self._begin(wish), None
        self.turn, self.lost, self._next = wish.turn, 0, 0
        early, self._early = [each for each in self._early if each.turn == wish.turn], []
        for frame in early:
            self._hear(frame)

    def _wait_for_the_last(self, wish: AudioStart) -> None:
        """One utterance at a time: the next begins when it is known what the last one was."""
        if self.utterance is not None and not self.utterance.is_ended:
            self.utterance.cancel()
        if self._wanted is None or self._wanted.turn != wish.turn:
            self._wanted, self._is_short = wish, False
            self._early = [each for each in self._early if each.turn == wish.turn]

    def frame(self, frame: Frame) -> None:
        """Take a frame. Raises `Refused`, once a turn, when nothing began it."""
        may_start = self._is_ahead(frame.turn) or self.utterance is None  # a node that was reset counts anew
        if frame.is_start and frame.turn != self.turn and may_start:
            self.start(AudioStart(turn=frame.turn))
        if self._wanted is not None and frame.turn == self._wanted.turn:
            self._early = [*self._early[1 - MOST_WAITING :], frame]
        elif frame.turn == self.turn:
            self._hear(frame)
        elif self._is_ahead(frame.turn):
            self._keep(frame)

    def _is_ahead(self, turn: int) -> bool:
        return self.turn < 0 or is_newer(turn, self.turn)

    def _keep(self, frame: Frame) -> None:
        if frame.turn == self._refused:
            return
        if self._early and self._early[0].turn != frame.turn:
            self._early.clear()
        self._early.append(frame)
        if len(self._early) >= MOST_EARLY:
            self._refused = frame.turn
            self._early.clear()
            raise Refused(Code.INVALID_REQUEST, NO_START)

    def _hear(self, frame: Frame) -> None:
        if self.utterance is None or frame.seq < self._next:
            return  # it is over, or the frame came late
        self.lost += frame.seq - self._next
        self._next = frame.seq + 1
        self.utterance.feed(frame.sound)
        if frame.is_end:
            self.utterance.end()

    def stop(self, turn: int | None) -> None:
        """The node has said everything; sound may be on its way still, as nothing orders two topics."""
        if self._wanted is not None and turn in (None, self._wanted.turn):
            self._is_short = True
        elif self.utterance is not None and turn in (None, self.turn):
            self._ending = asyncio.get_running_loop().call_later(LATE_S, self.utterance.end)

    def over(self, utterance_id: str) -> None:
        """An utterance has become text, or nothing. Raises `Refused` when the next cannot begin."""
        if self.utterance is None or self.utterance.id != utterance_id:
            return
        self.utterance, wanted = None, self._wanted
        if wanted is not None:
            self.start(wanted)
            if self._is_short:
                self.stop(wanted.turn)

    def close(self) -> None:
        """Nobody listens any more."""
        self._wanted = None
        if self._ending is not None:
            self._ending.cancel()
        if self.utterance is not None:
            self.utterance.cancel()
            self.utterance = None


def format_of(wish: AudioStart) -> AudioFormat:
    """How the node sends its sound."""
    return AudioFormat("pcm16", wish.rate, 1)
