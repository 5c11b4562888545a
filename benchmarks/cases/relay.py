"""The link: app → host → center, against a bare relay and against talking to the center directly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from ..client import Client
from ..harness import Figure, Scale, interleaved, percentile, ratio
from ..process import Server, bare_relay, host, scripted_center
from .tokens import LONG, RATIO, SESSIONS, SHORT, cost_us

ADDED_MS = 1.0
DELAY_MS = 0.25
JITTER = 1.5


@dataclass
class Ways:
    """The three ways of a token to an app."""

    direct: Server
    bare: Server
    full: Server

    def __iter__(self) -> Iterator[tuple[str, Server]]:
        return iter((("direct", self.direct), ("relay", self.bare), ("host", self.full)))


def relay(scale: Scale) -> Iterator[Figure]:
    """CPU for each relayed token, the first token's wait and each one's delay, against a bare relay."""
    with scripted_center() as center:
        center.ready()
        url = f"ws://127.0.0.1:{center.port}/center"
        settings = {"plugins.llm.url": url}
        with bare_relay(url) as bare, host(scale.folder, "relay.yaml", settings=settings) as full:
            ways = Ways(center, bare, full)
            for _, server in ways:
                server.ready()
            yield from _cpu(scale, ways)
            for sessions in (1, 32, 256):
                yield from _first_token(scale, ways, sessions)
            yield from _delay(scale, ways, SESSIONS)
            yield _many(scale, ways)


def _cpu(scale: Scale, ways: Ways) -> Iterator[Figure]:
    with Client() as to_bare, Client() as to_full:
        for server, client in ((ways.bare, to_bare), (ways.full, to_full)):
            client.do("connect", port=server.port, count=SESSIONS)
            client.do("ask", prompt="tokens=20 pace=0")
        for name, count, pace in (
            ("30 tokens a second", scale.of(150, 60), 30),
            ("flooded", scale.of(1000, 300), 0),
        ):
            wish = {"prompt": f"tokens={count} pace={pace}", "stagger_s": 0.2 if pace else 0.0}
            raw = interleaved(
                {
                    "host µs": lambda wish=wish, n=count: cost_us(ways.full, to_full, SESSIONS * n, **wish),  # type: ignore[misc]
                    "relay µs": lambda wish=wish, n=count: cost_us(ways.bare, to_bare, SESSIONS * n, **wish),  # type: ignore[misc]
                },
                scale.of(5, 3),
            )
            value = ratio(raw, "host µs", "relay µs")
            yield Figure(f"CPU per relayed token, {name}: host / relay", value, at_most=RATIO, raw=raw)
    with Client() as client:
        client.do("connect", port=ways.full.port, count=4)

        def cost(length: int) -> float:
            wish = {"prompt": f"tokens={length} pace=0", "rounds": LONG // length}
            return cost_us(ways.full, client, 4 * LONG, **wish)

        measures = {"30,000 µs": lambda: cost(LONG), "300 µs": lambda: cost(SHORT)}
        raw = interleaved(measures, scale.of(3, 1))
    value = ratio(raw, "30,000 µs", "300 µs")
    yield Figure("CPU per relayed token, 30,000 / 300 an answer", value, at_most=1.1, raw=raw)


def _first_token(scale: Scale, ways: Ways, sessions: int) -> Iterator[Figure]:
    waits: dict[str, list[float]] = {name: [] for name, _ in ways}
    with ExitStack() as stack:
        clients = {name: stack.enter_context(Client()) for name, _ in ways}
        for name, server in ways:
            clients[name].do("connect", port=server.port, count=sessions)
            clients[name].do("ask", prompt="tokens=1 pace=30")
        wish = {
            "prompt": "Tell me something. tokens=20 pace=30",
            "rounds": scale.of(8, 4) if sessions == 1 else 2,
        }
        for _ in range(scale.of(5, 2)):
            for name, client in clients.items():
                pause_s = 0.5 if sessions > 1 else 0.1
                answer = client.do("ask", pause_s=pause_s, stagger_s=0.7 + pause_s, **wish)
                waits[name] += answer["waits_ms"]
    p50 = {name: median(found) for name, found in waits.items()}
    p99 = {name: percentile(found, 99) for name, found in waits.items()}
    yield Figure(
        f"First token added to the center's, p50, {sessions} sessions", p50["host"] - p50["direct"], "ms",
        at_most=ADDED_MS, raw={f"{name} p50 ms": value for name, value in p50.items()},
    )  # fmt: skip
    yield Figure(
        f"First token added to the relay's, p99, {sessions} sessions", p99["host"] - p99["relay"], "ms",
        at_most=0.5, raw={f"{name} p99 ms": value for name, value in p99.items()},
    )  # fmt: skip


def _delay(scale: Scale, ways: Ways, sessions: int) -> Iterator[Figure]:
    """How long tokens travel, and how unevenly."""
    delays: dict[str, list[float]] = {name: [] for name, _ in ways}
    with ExitStack() as stack:
        clients = {name: stack.enter_context(Client()) for name, _ in ways}
        for name, server in ways:
            clients[name].do("connect", port=server.port, count=sessions)
            clients[name].do("ask", prompt="tokens=5 pace=30")
        for _ in range(scale.of(5, 2)):
            for name, client in clients.items():
                wish = {"prompt": f"tokens={scale.of(150, 60)} pace=30", "stagger_s": 1.0}
                delays[name] += client.do("ask", delays=True, **wish)["delays_ms"]
    p50 = {name: median(found) for name, found in delays.items()}
    jitter = {name: percentile(found, 99) - p50[name] for name, found in delays.items()}
    yield Figure(
        f"One-way delay added, p50, {sessions} sessions at 30 tokens/s", p50["host"] - p50["direct"], "ms",
        at_most=DELAY_MS, raw={f"{name} p50 ms": value for name, value in p50.items()},
    )  # fmt: skip
    yield Figure(
        f"Jitter, p99, {sessions} sessions: host / relay", jitter["host"] / jitter["relay"],
        at_most=JITTER, raw={f"{name} p99-p50 ms": value for name, value in jitter.items()},
    )  # fmt: skip


def _many(scale: Scale, ways: Ways) -> Figure:
    """400 streams: the last tokens must travel no longer than the first, or a queue grows."""
    with Client() as client:
        client.do("connect", port=ways.full.port, count=400)
        client.do("ask", prompt="tokens=5 pace=30")
        wish = {"prompt": f"tokens={scale.of(450, 150)} pace=30", "stagger_s": 1.0}
        before = ways.full.cpu_s()
        answer = client.do("ask", delays=True, **wish)
        spent = (ways.full.cpu_s() - before) / answer["seconds"]
    found = answer["delays_ms"]
    part = len(found) // 5
    early, late = median(found[part : 2 * part]), median(found[-2 * part : -part])
    raw = {"early p50 ms": early, "late p50 ms": late, "cores used": spent, "p99 ms": percentile(found, 99)}
    return Figure("400 streams at 30 tokens/s: delay late / early", late / early, at_most=1.5, raw=raw)
