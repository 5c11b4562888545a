"""Server-sent events to JSON, for the token path: bytes in as they come, whole events out."""

from __future__ import annotations

from typing import Any

import orjson

LONGEST = 8 * 1024 * 1024
"""An unfinished event of more bytes is not one of a model's server."""


class EventTooLong(Exception):
    """The server sends something endless that is no event."""


class EventReader:
    """Cuts a byte stream, however it was split on its way, into the JSON values of its events."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Any]:
        """Take the next bytes; returns what is complete with them. Raises `EventTooLong`.

        Events that are no JSON (comments, `[DONE]`, noise) are left out.
        """
        *events, self._rest = (self._rest + data if self._rest else data).split(b"\n\n")
        if len(self._rest) > LONGEST:
            raise EventTooLong
        values = []
        for event in events:
            line = event.lstrip(b"\n")  # further blank lines between events mean nothing
            if line.startswith(b"data: {"):
                try:
                    values.append(orjson.loads(line[6:]))
                except orjson.JSONDecodeError:
                    continue  # a broken event is dropped; the next one begins cleanly
        return values
