"""`/health`, `/ready` and `/metrics`, with the names of the public service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from .door import TranscriptionDoor

NOT_FOUND = {"error": {"message": "Not found", "type": "not_found"}}
METRICS = (
    ("transcription_model_loaded", "Whether the ears are there."),
    ("transcription_active_connections", "Streams now."),
    ("transcription_max_connections", "Streams at most."),
)


class Pages:
    """Small answers about the door."""

    def __init__(self, door: TranscriptionDoor) -> None:
        self._door = door

    async def health(self, request: web.Request) -> web.Response:
        """The process is there."""
        return web.json_response({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """Whether somebody would be heard now."""
        is_ready = self._door.sessions.transcription.available
        return web.json_response({"status": "ready" if is_ready else "busy"}, status=200 if is_ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        """For Prometheus, text format 0.0.4."""
        door = self._door
        values = (int(door.sessions.transcription.available), door.connections, door.settings.max_connections)
        lines = [
            f"# HELP {name} {text}\n# TYPE {name} gauge\n{name} {value}\n"
            for (name, text), value in zip(METRICS, values, strict=True)
        ]
        return web.Response(text="".join(lines), content_type="text/plain")
