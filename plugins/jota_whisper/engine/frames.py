"""Frames between the host and its engine: two lengths, a JSON object, and sound behind it."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import orjson

HEAD = struct.Struct("<II")
MOST = 64 * 1024 * 1024

Frame = tuple[dict[str, Any], bytes]


def pack(fields: dict[str, Any], sound: bytes = b"") -> bytes:
    """One frame as bytes."""
    text = orjson.dumps(fields)
    return HEAD.pack(len(text), len(sound)) + text + sound


def sizes(head: bytes) -> tuple[int, int]:
    """Lengths of the two parts. Raises `ValueError` for what is no head of ours."""
    text, sound = HEAD.unpack(head)
    if text + sound > MOST:
        raise ValueError(f"a frame of {text + sound} bytes")
    return int(text), int(sound)


def read(file: BinaryIO) -> Frame | None:
    """The next frame of a blocking stream; None at its end. Raises `ValueError`."""
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    text, sound = sizes(head)
    return orjson.loads(file.read(text)), file.read(sound)
