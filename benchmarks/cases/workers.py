"""Worker processes: how much more of the same work two carry than one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

import psutil

from ..client import Client
from ..harness import Figure, Scale
from ..postgres import PostgresServer
from ..process import Server, host, scripted_center

CARRY = 1.8
SESSIONS = 150
"""For each worker: so many that nobody has to wait for a core of this machine."""
PACE = 30


def workers(scale: Scale) -> Iterator[Figure]:
    """Relayed tokens: how full one process is with a load, and the fuller one of two with twice as much.

    App, center, store and client share the machine's cores with the host, so that what two workers could do
    with cores of their own is told by CPU seconds, not by what comes out.
    """
    with scripted_center() as center, PostgresServer() as postgres:
        center.ready()
        for name in ("PostgreSQL", "SQLite"):
            raw: dict[str, list[float]] = {}
            for count in (1, 2):
                store = postgres.create(f"bench{count}") if name == "PostgreSQL" else "sqlite:///bench.db"
                raw |= _measured(scale, center.port, count, store)
            yield from _figures(name, raw)


def _measured(scale: Scale, center: int, count: int, store: str) -> dict[str, list[float]]:
    settings = {
        "plugins.llm.url": f"ws://127.0.0.1:{center}/center", "plugins.memory.store": store,
        "host.workers": str(count),
    }  # fmt: skip
    with host(scale.folder / f"{store.partition(':')[0]}{count}", "relay.yaml", settings=settings) as server:
        server.ready()
        time.sleep(2)  # the second one begins when the first is ready
        busiest, all_of_them, flooded = _load(server, scale, SESSIONS * count)
    return {
        f"{count}: cores of the busiest": busiest,
        f"{count}: cores of all": all_of_them,
        f"{count}: tokens/s flooded": flooded,
    }


def _figures(store: str, raw: dict[str, list[float]]) -> Iterator[Figure]:
    def ratio(what: str) -> float:
        return median(raw[f"2: {what}"]) / median(raw[f"1: {what}"])

    target = CARRY if store == "PostgreSQL" else None
    carried = 2 / ratio("cores of the busiest")
    yield Figure(f"load that two workers carry / one, {store}", carried, at_least=target, raw=raw)
    yield Figure(f"CPU for a token with two workers / with one, {store}", ratio("cores of all") / 2)
    yield Figure(
        f"tokens a second with all on this machine's cores, two / one, {store}", ratio("tokens/s flooded")
    )


def _load(server: Server, scale: Scale, sessions: int) -> tuple[list[float], list[float], list[float]]:
    busiest, all_of_them, flooded = list[float](), list[float](), list[float]()
    pids = [child.pid for child in psutil.Process(server.pid).children()] or [server.pid]
    with Client() as client:
        client.do("connect", port=server.port, count=sessions)
        client.do("ask", prompt="tokens=20 pace=0")
        for _ in range(scale.of(5, 2)):
            before = [_cpu_s(pid) for pid in pids]
            told = client.do("ask", prompt=f"tokens={scale.of(150, 60)} pace={PACE}", stagger_s=1.0)
            used = [(_cpu_s(pid) - was) / told["seconds"] for pid, was in zip(pids, before, strict=True)]
            busiest.append(max(used))
            all_of_them.append(sum(used))
            count = scale.of(500, 200)
            flood = client.do("ask", prompt=f"tokens={count} pace=0")
            flooded.append(sessions * count / flood["seconds"])
    return busiest, all_of_them, flooded


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
