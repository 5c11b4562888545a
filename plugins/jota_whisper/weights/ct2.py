"""Reads a model that CTranslate2 has written (its binary version 6), as far as Whisper needs.

Source: `ModelReader` in CTranslate2's `src/models/model.cc`.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

VERSION = 6
TYPES: dict[int, type[np.generic]] = {
    0: np.float32,
    1: np.int8,
    2: np.int16,
    3: np.int32,
    4: np.float16,
}

Weights = dict[str, np.ndarray]


class BrokenWeights(Exception):
    """The file is not what it should be; the text says how, for people."""


def read(path: Path) -> Weights:
    """Every variable of the model by its name. Raises `BrokenWeights`."""
    try:
        return _Reader(path.read_bytes()).weights()
    except (struct.error, KeyError, UnicodeDecodeError, ValueError) as error:
        raise BrokenWeights(f"{path.name} is no model of CTranslate2: {error}.") from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def weights(self) -> Weights:
        version, spec = self._number("I"), self._text()
        if version != VERSION or spec != "WhisperSpec":
            raise ValueError(f"version {version}, {spec!r}")
        self._number("I")  # revision of the specification
        return dict(self._variable() for _ in range(self._number("I")))

    def _variable(self) -> tuple[str, np.ndarray]:
        name = self._text()
        shape = [self._number("I") for _ in range(self._number("B"))]
        kind, size = TYPES[self._number("B")], self._number("I")
        values = np.frombuffer(self._data[self._at : self._at + size], kind)
        self._at += size
        return name, values.reshape(shape)

    def _text(self) -> str:
        size = self._number("H")
        found = self._data[self._at : self._at + size]
        self._at += size
        return found.rstrip(b"\0").decode()

    def _number(self, kind: str) -> int:
        (found,) = struct.unpack_from("<" + kind, self._data, self._at)
        self._at += struct.calcsize("<" + kind)
        return int(found)
