"""Metrics for subscribers, once a second: generations, CPU and memory."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .session import Send, Totals

EVERY_S = 1.0
MEMINFO = Path("/proc/meminfo")


class Metrics:
    """What `metrics` frames are made of."""

    def __init__(self, totals: Totals, sessions: Callable[[], int]) -> None:
        self._totals = totals
        self._sessions = sessions

    async def tell(self, send: Send) -> None:
        """Send a frame each second until cancelled."""
        while True:
            await send(**self.frame())
            await asyncio.sleep(EVERY_S)

    def frame(self) -> dict[str, Any]:
        """One frame; `timestamp` in nanoseconds, `system` is ours."""
        totals = self._totals
        inference = {
            "active_generations": totals.active,
            "total_sessions": self._sessions(),
            "last_tps": totals.last_tps,
            "last_ttft_ms": totals.last_ttft_ms,
            "total_tokens_generated": totals.tokens,
        }
        return {"op": "metrics", "timestamp": time.time_ns(), "inference": inference, "system": _system()}


def _system() -> dict[str, float]:
    told = {"cpu_load": round(os.getloadavg()[0], 2), "cpu_cores": float(os.cpu_count() or 1)}
    try:
        text = MEMINFO.read_text(encoding="ascii")
    except OSError:
        return told  # not on Linux
    for name, key in (("MemTotal", "memory_total_mb"), ("MemAvailable", "memory_free_mb")):
        found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
        if found:
            told[key] = int(found[1]) // 1024
    return told
