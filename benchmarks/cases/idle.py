"""Ten thousand apps that say nothing."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator

from ..client import Client
from ..harness import Figure, Scale
from ..process import Server, host

KB = 24.0
PER_SECOND = 1000.0
CPU_PERCENT = 1.0
HEARTBEAT_S = 10
"""A third of the usual, so that a short run sees every session pinged."""


def idle(scale: Scale) -> Iterator[Figure]:
    """10,000 idle WebSocket sessions with heartbeats: memory, accepts a second, CPU."""
    count = min(scale.of(10_000, 3_000), resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1000)
    for name, path in (
        ("raw text", "/api/v1/ws/chat/{user}"),
        ("typed frames", "/api/v1/ws/chat/{user}?frames=json"),
    ):
        with host(scale.folder / name.split()[0]) as full, Client() as client:
            full.ready()
            client.do("connect", port=full.port, count=200, path=path)
            client.do("close")
            yield from _measured(full, client, count, name, path)


def _measured(full: Server, client: Client, count: int, name: str, path: str) -> Iterator[Figure]:
    empty = full.rss_bytes()
    opened = client.do("connect", port=full.port, count=count, path=path)
    yield Figure(
        f"Accepts a second, {name}", opened["open"] / opened["seconds"], "/s", at_least=PER_SECOND,
        raw={"sessions": opened["open"], "seconds": round(opened["seconds"], 2)},
    )  # fmt: skip
    time.sleep(HEARTBEAT_S)
    before, began = full.cpu_s(), time.monotonic()
    time.sleep(HEARTBEAT_S)
    percent = (full.cpu_s() - before) / (time.monotonic() - began) * 100
    grown = full.rss_bytes() - empty
    yield Figure(
        f"Memory per idle session, {name}", grown / count / 1024, "KB", at_most=KB,
        raw={"MB before and after": [empty / 1e6, (empty + grown) / 1e6]},
    )  # fmt: skip
    yield Figure(
        f"CPU per thousand idle sessions, {name}", percent / count * 1000, "%", at_most=CPU_PERCENT,
        raw={"percent of a core": percent, "heartbeat s": HEARTBEAT_S},
    )  # fmt: skip
