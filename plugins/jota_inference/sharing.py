"""How worker processes share the models of the first one."""

from __future__ import annotations

from typing import Any

from jota_core.api import Sharing, Worker

SESSIONS = 1000


class SharedInference(Sharing):
    """An Inference Center on this machine only."""

    def server(self, worker: Worker) -> tuple[str, dict[str, Any]]:
        return "jota_inference_center", {
            "listen": worker.address("inference"), "reuse_port": True,
            "keys": {"workers": worker.key}, "max_sessions": SESSIONS * worker.count,
        }  # fmt: skip

    def client(self, worker: Worker) -> tuple[str, dict[str, Any]]:
        url = f"ws://{worker.address('inference')}"
        return "jota_inference", {
            "url": url, "client_id": "workers", "key": worker.key, "sessions": SESSIONS, "first_retry_s": 1.0,
        }  # fmt: skip
