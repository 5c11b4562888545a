"""Audio frames of `jota/v1`, big-endian: `0xA1 | flags u8 | turn u16 | seq u32 | [ms u32] | sound`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from jota_core.api import Code, Refused

MARK = 0xA1
HEAD = Struct(">BBHI")
STAMP = Struct(">I")
START, END, STAMPED = 1, 2, 16
LONGEST = 4096
"""Bytes of one message."""
TURNS = 1 << 16


class Codec(IntEnum):
    """How the sound of a frame is written."""

    PCM16 = 0
    OPUS = 1


@dataclass(frozen=True, slots=True)
class Frame:
    """One piece of sound on its way."""

    turn: int
    """Modulo 65,536; sound of an older turn is dropped."""
    seq: int
    sound: bytes
    is_start: bool = False
    is_end: bool = False
    codec: int = Codec.PCM16
    stamp_ms: int | None = None

    def packed(self) -> bytes:
        """As it travels."""
        flags = self.is_start * START | self.is_end * END | self.codec << 2
        stamp = b""
        if self.stamp_ms is not None:
            flags |= STAMPED
            stamp = STAMP.pack(self.stamp_ms & 0xFFFFFFFF)
        return HEAD.pack(MARK, flags, self.turn % TURNS, self.seq & 0xFFFFFFFF) + stamp + self.sound


def parse(data: bytes) -> Frame:
    """The frame in a message. Raises `Refused` (`invalid_request`, `too_large`, `unsupported`)."""
    if len(data) > LONGEST:
        raise Refused(Code.TOO_LARGE, f"An audio message has at most {LONGEST} bytes, not {len(data)}.")
    if len(data) < HEAD.size or data[0] != MARK:
        raise Refused(
            Code.INVALID_REQUEST, "This is no audio frame: it begins with 0xA1 and has 8 bytes more."
        )
    _, flags, turn, seq = HEAD.unpack_from(data)
    at, stamp = HEAD.size, None
    if flags & STAMPED:
        if len(data) < at + STAMP.size:
            raise Refused(Code.INVALID_REQUEST, "The audio frame ends before its time stamp.")
        stamp, at = STAMP.unpack_from(data, at)[0], at + STAMP.size
    codec = flags >> 2 & 3
    if codec != Codec.PCM16:
        raise Refused(Code.UNSUPPORTED, f"Sound in codec {codec} is not understood here; send PCM16 (0).")
    return Frame(turn, seq, data[at:], bool(flags & START), bool(flags & END), codec, stamp)


def is_newer(turn: int, than: int) -> bool:
    """Whether a turn's number comes after another one's; numbers go round."""
    return 0 < (turn - than) % TURNS < TURNS // 2
