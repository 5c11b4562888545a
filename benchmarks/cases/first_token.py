"""The first token: what the host adds to its wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from ..client import Client
from ..harness import Figure, Scale, percentile
from ..process import Server, floor, host

P50_MS = 2.0
P99_MS = 0.5
ANSWER = 20


@dataclass
class Side:
    """One server with its apps, and how long they waited."""

    server: Server
    client: Client
    waits_ms: list[float] = field(default_factory=list)
    medians_ms: list[float] = field(default_factory=list)

    def measure(self, rounds: int, pause_s: float) -> None:
        """Every app asks `rounds` times at random instants and is answered at 30 tokens a second."""
        prompt = f"Tell me something. tokens={ANSWER} pace=30"
        answer = self.client.do("ask", prompt=prompt, rounds=rounds, pause_s=pause_s, stagger_s=0.7 + pause_s)
        if answer["failed"]:
            raise RuntimeError(f"{answer['failed']} answers failed.")
        self.waits_ms += answer["waits_ms"]
        self.medians_ms.append(median(answer["waits_ms"]))


def first_token(scale: Scale) -> Iterator[Figure]:
    """First token, message durable before it, added to calling the backend directly (the floor does)."""
    with floor() as bare, host(scale.folder) as full:
        for server in (bare, full):
            server.ready()
        for sessions, rounds in ((1, scale.of(8, 4)), (32, scale.of(4, 2)), (256, scale.of(2, 1))):
            yield from _added(scale, bare, full, sessions, rounds)


def _added(scale: Scale, bare: Server, full: Server, sessions: int, rounds: int) -> Iterator[Figure]:
    with Client() as to_bare, Client() as to_full:
        sides = {"floor": Side(bare, to_bare), "host": Side(full, to_full)}
        for side in sides.values():
            side.client.do("connect", port=side.server.port, count=sessions)
            side.client.do("ask", prompt="tokens=1 pace=30")
        for _ in range(scale.of(5, 2)):
            for side in sides.values():
                side.measure(rounds, 0.5 if sessions > 1 else 0.1)
    raw = {f"{name} p50 ms": side.medians_ms for name, side in sides.items()}
    p50 = {name: median(side.waits_ms) for name, side in sides.items()}
    p99 = {name: percentile(side.waits_ms, 99) for name, side in sides.items()}
    count = len(sides["host"].waits_ms)
    yield Figure(
        f"First token added, p50, {sessions} sessions ({count} prompts)", p50["host"] - p50["floor"],
        "ms", at_most=P50_MS, raw=raw,
    )  # fmt: skip
    yield Figure(
        f"First token added, p99, {sessions} sessions", p99["host"] - p99["floor"], "ms", at_most=P99_MS,
        raw={f"{name} p99 ms": value for name, value in p99.items()},
    )  # fmt: skip
