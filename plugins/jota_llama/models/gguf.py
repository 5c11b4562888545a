"""The head of a GGUF file: enough to know a broken file and to foretell its memory before loading it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

MAGIC = b"GGUF"
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TEXT, ARRAY = 8, 9
LONGEST = 16 * 1024 * 1024
"""No text of a sane head is longer; bytes."""
MOST = 1_000_000
"""No list of a sane head (vocabularies are the longest) has more members."""


class BrokenModel(Exception):
    """The file is not a whole GGUF file; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a model before it is loaded."""

    name: str
    architecture: str
    size: int
    """Bytes of the file."""
    context: int | None
    """Tokens it was trained for."""
    kv_bytes_per_token: int
    """Memory for one token of context, with 16-bit keys and values."""


def read_head(path: Path) -> Head:
    """Read the head of a model file. Raises `BrokenModel`, `FileNotFoundError` or another `OSError`."""
    with path.open("rb") as file:
        size = path.stat().st_size
        try:
            return _head(file, size)
        except (struct.error, EOFError, UnicodeDecodeError, KeyError):
            raise BrokenModel(
                f"{path} is not a whole GGUF model file; it may be cut off. Fetch it again."
            ) from None
        except BrokenModel as error:
            raise BrokenModel(f"{path} {error}") from None


def _head(file: BufferedReader, size: int) -> Head:
    if file.read(4) != MAGIC:
        raise BrokenModel("is not a GGUF model file. `jota models list` shows models that can be fetched.")
    version, tensors, values = _unpack(file, "<IQQ")
    if version not in (2, 3) or tensors > MOST or values > MOST:
        raise BrokenModel(f"has a head that makes no sense (version {version}). Fetch it again.")
    known = {}
    for _ in range(values):
        key = _text(file)
        known[key] = _value(file, _unpack(file, "<I")[0])
    last = max((_tensor_offset(file) for _ in range(tensors)), default=0)
    if file.tell() + last >= size:
        raise BrokenModel(f"is cut off after {size} bytes. Fetch it again.")
    return _summary(known, size)


def _summary(known: Mapping[str, Any], size: int) -> Head:
    architecture = str(known.get("general.architecture", "unknown"))

    def number(key: str) -> int | None:
        value = known.get(f"{architecture}.{key}")
        return max(value, default=0) if isinstance(value, list) else value

    heads = number("attention.head_count") or 1
    kv_heads = number("attention.head_count_kv") or heads
    width = (number("embedding_length") or 0) // heads
    widths = (number("attention.key_length") or width) + (number("attention.value_length") or width)
    layers = number("block_count") or 0
    name = str(known.get("general.name") or architecture)
    return Head(name, architecture, size, number("context_length"), 2 * layers * kv_heads * widths)


def _tensor_offset(file: BufferedReader) -> int:
    _text(file)
    (dimensions,) = _unpack(file, "<I")
    if dimensions > 8:
        raise BrokenModel("has a list of weights that makes no sense. Fetch it again.")
    offset: int = _unpack(file, f"<{dimensions}QIQ")[-1]
    return offset


def _value(file: BufferedReader, kind: int) -> Any:
    if kind == TEXT:
        return _text(file)
    if kind == ARRAY:
        member, count = _unpack(file, "<IQ")
        if count > MOST:
            raise BrokenModel("has a list in its head that is too long. Fetch it again.")
        if member in (TEXT, ARRAY):
            return [_value(file, member) for _ in range(count)]
        return list(_unpack(file, f"<{count}{SCALARS[member]}"))
    return _unpack(file, f"<{SCALARS[kind]}")[0]


def _text(file: BufferedReader) -> str:
    (length,) = _unpack(file, "<Q")
    if length > LONGEST:
        raise BrokenModel("has a text in its head that is too long. Fetch it again.")
    return _read(file, length).decode("utf-8", "replace")


def _unpack(file: BufferedReader, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, _read(file, struct.calcsize(form)))


def _read(file: BufferedReader, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise EOFError
    return data
