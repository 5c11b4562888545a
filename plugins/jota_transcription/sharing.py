"""How worker processes share the ears of the first one."""

from __future__ import annotations

from typing import Any

from jota_core.api import Sharing, Worker

STREAMS = 1000


class SharedTranscription(Sharing):
    """A Transcription API on this machine only."""

    def server(self, worker: Worker) -> tuple[str, dict[str, Any]]:
        listen, most = worker.address("transcription"), STREAMS
        return "jota_transcription_api", {
            "listen": listen, "reuse_port": True, "token": worker.key, "language": "auto",
            "max_connections": most, "max_connections_per_address": most,
        }  # fmt: skip

    def client(self, worker: Worker) -> tuple[str, dict[str, Any]]:
        return "jota_transcription", {"url": f"ws://{worker.address('transcription')}", "token": worker.key}
