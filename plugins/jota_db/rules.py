"""What a record may be: checked where it is given, before it goes to a database or a server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from jota_core.api import Code, MemoryStoreError

MOST = 10_000
"""Records of one collection."""
LONGEST = 64 * 1024
"""Bytes of a value as JSON."""
HIGHEST = 2**31 - 1
"""Version."""
NAME = re.compile(r"(?!\.{1,2}\Z)[0-9a-z_.:-]{1,128}\Z")  # `.` and `..` mean something else in a path


def check_name(what: str, name: str) -> None:
    """Raises `invalid_request`."""
    if not NAME.match(name):
        sentence = (
            f"A record's {what} has 1 to 128 of the characters a-z, 0-9 and _ . : -; {name[:64]!r} is none."
        )
        raise MemoryStoreError(Code.INVALID_REQUEST, sentence)


def check_record(collection: str, key: str, version: int | None) -> None:
    """Raises `invalid_request`."""
    check_name("collection", collection)
    check_name("key", key)
    if version is not None and not 0 <= version <= HIGHEST:
        raise MemoryStoreError(Code.INVALID_REQUEST, "A record's version is a number from 0.")


def packed(value: Mapping[str, Any] | None) -> str | None:
    """A value as it is kept. Raises `invalid_request`, `too_large`."""
    if value is None:
        return None
    try:
        data = orjson.dumps(dict(value))
    except orjson.JSONEncodeError as error:
        sentence = f"A record's value is an object of JSON; this is none: {error}."
        raise MemoryStoreError(Code.INVALID_REQUEST, sentence) from None
    if len(data) > LONGEST:
        sentence = f"A record has at most {LONGEST} bytes of JSON; this one has {len(data)}."
        raise MemoryStoreError(Code.TOO_LARGE, sentence)
    return data.decode()
