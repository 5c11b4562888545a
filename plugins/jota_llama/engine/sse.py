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
        data = data.replace(b"\r", b"")  # JSON holds none, and some servers end their lines with it
        *events, self._rest = (self._rest + data if self._rest else data).split(b"\n\n")
        if len(self._rest) > LONGEST:
            raise EventTooLong
        values = []
        for event in events:
            value = event[6:] if event.startswith(b"data: {") else _value(event)
            if value.startswith(b"{"):
                try:
                    values.append(orjson.loads(value))
                except orjson.JSONDecodeError:
                    continue  # a broken event is dropped; the next one begins cleanly
        return values


def _value(event: bytes) -> bytes:
    """The data of an event that has other lines, too, or blank ones."""
    lines = [line[5:].lstrip() for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)
