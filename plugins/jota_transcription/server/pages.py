"""`/health`, `/ready` and `/metrics`, with the names of the public service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from jota_core.api import Prover

if TYPE_CHECKING:
    from .door import TranscriptionDoor

NOT_FOUND = {"error": {"message": "Not found", "type": "not_found"}}
KIND = "text/plain; version=0.0.4; charset=utf-8"
METRICS = {
    "transcription_active_inferences": "Pieces of speech being decoded.",
    "transcription_max_inferences": "Pieces that can be decoded at once.",
    "transcription_model_loaded": "Whether the ears are there.",
    "transcription_model_ref_count": "Utterances that use the model.",
    "transcription_active_connections": "Streams now.",
    "transcription_max_connections": "Streams at most.",
}


class Pages:
    """Small answers about the door."""

    def __init__(self, door: TranscriptionDoor) -> None:
        self._door = door
        token = door.settings.token
        self._prover = Prover(lambda _: token.get_secret_value() if token else None)

    async def prove(self, request: web.Request) -> web.Response:
        """That it knows the token; see `jota_core.api.proof`."""
        transport = request.transport
        local = transport.get_extra_info("sockname") if transport else ("", 0)
        status, body = self._prover.answer(request.query, local)
        return web.Response(body=body, status=status, content_type="application/json")

    async def health(self, request: web.Request) -> web.Response:
        """The process is there."""
        return web.json_response({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """Whether somebody would be heard now."""
        is_ready = self._door.sessions.transcription.available
        return web.json_response({"status": "ready" if is_ready else "busy"}, status=200 if is_ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        """For Prometheus, text format 0.0.4."""
        door, ears = self._door, self._door.sessions.transcription
        values = (
            ears.load.decoding, ears.load.slots, int(ears.available), ears.load.utterances,
            door.connections, door.settings.max_connections,
        )  # fmt: skip
        lines = [
            f"# HELP {name} {text}\n# TYPE {name} gauge\n{name} {value}\n"
            for (name, text), value in zip(METRICS.items(), values, strict=True)
        ]
        return web.Response(text="".join(lines), headers={"Content-Type": KIND})
