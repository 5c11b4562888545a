"""A node's ears: frames in their order become an utterance; loss is counted, old sound is dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from jota_core.api import AudioFormat, Code, Refused, Utterance

from ..wire.frames import Frame, is_newer
from ..wire.payloads import AudioStart

MOST_EARLY = 16
"""Frames that wait for a start which is still on its way: QoS 0 overtakes QoS 1."""
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
        self._early: deque[Frame] = deque(maxlen=MOST_EARLY)
        self._refused = -1

    def start(self, wish: AudioStart) -> None:
        """The node begins to speak; the same start again changes nothing. Raises `Refused`."""
        if wish.turn == self.turn:
            return
        if self.utterance is not None:
            self.utterance.cancel()
        self.utterance = self._begin(wish)
        self.turn, self.lost, self._next = wish.turn, 0, 0
        early = [frame for frame in self._early if frame.turn == wish.turn]
        self._early.clear()
        for frame in early:
            self._hear(frame)

    def frame(self, frame: Frame) -> None:
        """Take a frame. Raises `Refused`, once a turn, when nothing began it."""
        may_start = self._is_ahead(frame.turn) or self.utterance is None  # a node that was reset counts anew
        if frame.is_start and frame.turn != self.turn and may_start:
            self.start(AudioStart(turn=frame.turn))
        if frame.turn == self.turn:
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
        if len(self._early) == MOST_EARLY:
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
            self.stop(frame.turn)

    def stop(self, turn: int | None) -> None:
        """The node has said everything."""
        if self.utterance is not None and turn in (None, self.turn):
            self.utterance.end()

    def over(self, utterance_id: str) -> None:
        """An utterance has become text, or nothing."""
        if self.utterance is not None and self.utterance.id == utterance_id:
            self.utterance = None

    def close(self) -> None:
        """Nobody listens any more."""
        if self.utterance is not None:
            self.utterance.cancel()
            self.utterance = None


def format_of(wish: AudioStart) -> AudioFormat:
    """How the node sends its sound."""
    return AudioFormat("pcm16", wish.rate, 1)
