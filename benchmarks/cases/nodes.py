"""Edge nodes over MQTT: requests, idle nodes and sound, against a bare echo on the same broker."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ..brokers import await_listener, mosquitto
from ..client import Client
from ..harness import Figure, Scale, interleaved, percentile, ratio
from ..process import Server, free_port, host

ADDED_MS = 2.0
DELTAS_S = 30.0
KB = 10.0
REQUESTS = 0.8
SOUND_MS = 10.0
MANY = 200
STREAMS = 10
WARM = 50
SETTLED_S = 12.0
"""By then what was seen of a thousand nodes is kept."""
ONE = "tokens=1 pace=0"


@dataclass
class Site:
    """Broker, host and floor of one run, and the process of all nodes."""

    port: int
    """Of the broker."""
    full: Server
    client: Client
    folder: Path

    def meet(self, count: int, name: str = "node") -> None:
        """So many nodes at each of the two, which have asked once."""
        for way in ("host", "echo"):
            self.client.do("connect", port=self.port, way=way, count=count, name=f"{name}-{way}")
            self.client.do("ask", way=way, prompt=ONE, at_once=WARM)

    def heard(self, way: str, names: set[str], limit_s: float = 10.0) -> dict[str, float]:
        """When each frame came, once all have; those that never come are missing."""
        file, end = (
            self.folder / ("site/heard.txt" if way == "host" else "echo.txt"),
            time.monotonic() + limit_s,
        )
        while True:
            lines = file.read_text().splitlines() if file.exists() else []
            found = {name: float(at) for name, at in map(str.split, lines) if name in names}
            if len(found) == len(names) or time.monotonic() > end:
                return found
            time.sleep(0.1)


def nodes(scale: Scale) -> Iterator[Figure]:
    """Edge nodes over MQTT: requests, idle ones and sound, against a bare echo on the same broker."""
    with ExitStack() as stack:
        site = _site(stack, scale.folder)
        site.meet(MANY)
        yield _first_delta(scale, site)
        yield _pieces(scale, site)
        yield _requests(scale, site)
        yield _sound(scale, site)
        yield from _idle(scale, site)


def _site(stack: ExitStack, folder: Path) -> Site:
    broker = mosquitto(folder)
    port = broker.port if broker else free_port()
    if broker:
        stack.enter_context(broker)
    settings = {
        "plugins.nodes.broker": f"mqtt://127.0.0.1:{port}",
        "plugins.nodes.embedded": "false" if broker else "true",
    }
    full = stack.enter_context(host(folder / "site", "nodes.yaml", settings=settings))
    await_listener(port)
    command: list[str | Path] = [sys.executable, "-m", "benchmarks.echo", str(port), folder / "echo.txt"]
    stack.enter_context(Server(command, port))
    client = stack.enter_context(Client("benchmarks.nodes"))
    for way in ("host", "echo"):
        client.do("wait", port=port, way=way)
    return Site(port, full, client, folder)


def _first_delta(scale: Scale, site: Site) -> Figure:
    """One request at a time."""
    waits: dict[str, list[float]] = {"host": [], "echo": []}
    for _ in range(scale.of(8, 3)):
        for way in waits:
            waits[way] += site.client.do("ask", way=way, prompt=ONE, count=1, rounds=100)["waits_ms"]
    p50 = {way: median(found) for way, found in waits.items()}
    raw = {f"{way} p50, p99 ms": [p50[way], percentile(waits[way], 99)] for way in waits}
    return Figure(
        "First delta added to the bare echo, p50", p50["host"] - p50["echo"], "ms", at_most=ADDED_MS, raw=raw
    )


def _pieces(scale: Scale, site: Site) -> Figure:
    """Three seconds of an engine that gives 200 tokens a second."""
    rates = []
    for _ in range(scale.of(3, 1)):
        found = site.client.do("ask", way="host", prompt="tokens=600 pace=200", count=1)
        rates.append((found["deltas"] - 1) / found["seconds"])
    return Figure(
        "Deltas a second and node, 200 tokens a second",
        median(rates),
        "/s",
        at_most=DELTAS_S,
        raw={"rounds": rates},
    )


def _requests(scale: Scale, site: Site) -> Figure:
    """All nodes at once, each one request after the other, to its end."""
    rounds = scale.of(15, 5)

    def rate(way: str) -> float:
        seconds: float = site.client.do("ask", way=way, prompt=ONE, rounds=rounds)["seconds"]
        return MANY * rounds / seconds

    raw = interleaved({"host /s": lambda: rate("host"), "echo /s": lambda: rate("echo")}, scale.of(5, 3))
    value = ratio(raw, "host /s", "echo /s")
    return Figure(f"Text requests a second, {MANY} nodes: host / echo", value, at_least=REQUESTS, raw=raw)


def _sound(scale: Scale, site: Site) -> Figure:
    """Ten streams of frames at their natural pace: from sending one until the ears read it.

    The first utterance of a host's life waits 30 ms for numpy, so it is said before.
    """
    site.client.do("speak", way="host", count=1, run=0, seconds=1)
    delays: dict[str, list[float]] = {"host": [], "echo": []}
    lost = 0
    for run in range(1, scale.of(3, 1) + 1):
        for way in delays:
            told = site.client.do("speak", way=way, count=STREAMS, run=run, seconds=scale.of(10, 4))
            sent = dict(told["sent"])
            heard = site.heard(way, set(sent))
            lost += len(sent) - len(heard)
            delays[way] += [(at - sent[name]) * 1000 for name, at in heard.items()]
    p99 = {way: percentile(found, 99) for way, found in delays.items()}
    raw = {f"{way} p50, p99 ms": [median(delays[way]), p99[way]] for way in delays}
    title = f"Sound of {STREAMS} streams, added to the bare subscriber, p99"
    return Figure(title, p99["host"] - p99["echo"], "ms", at_most=SOUND_MS, raw={**raw, "frames lost": lost})


def _idle(scale: Scale, site: Site) -> Iterator[Figure]:
    """Nodes that have asked once and say nothing more; what they cost the broker is not counted."""
    count = scale.of(1000, 300)
    empty = site.full.rss_bytes()
    site.client.do("connect", port=site.port, way="host", count=count, name="idle")
    site.client.do("ask", way="host", prompt=ONE, at_once=WARM)
    time.sleep(SETTLED_S)
    grown = site.full.rss_bytes() - empty
    yield Figure(
        "Memory per idle node in the host", grown / count / 1024, "KB", at_most=KB,
        raw={"MB before and after": [empty / 1e6, (empty + grown) / 1e6]},
    )  # fmt: skip
    before, began = site.full.cpu_s(), time.monotonic()
    time.sleep(10)
    percent = (site.full.cpu_s() - before) / (time.monotonic() - began) * 100
    yield Figure(f"CPU with {count + MANY:,} idle nodes", percent, "% of a core")
