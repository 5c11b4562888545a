"""How worker processes share the store of the first one, where it is a file."""

from __future__ import annotations

from typing import Any

from jota_core.api import Sharing, Worker


class SharedMemory(Sharing):
    """JotaDB's own REST: the section of the first worker listens."""

    def client(self, worker: Worker) -> tuple[str, dict[str, Any]]:
        url = f"http://{worker.address('memory')}"
        return "jota_db_client", {"url": url, "bearer": worker.key, "key": worker.key}
