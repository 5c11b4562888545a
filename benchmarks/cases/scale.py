"""Many hosts and thousands of scripted nodes: whether the next one costs as much as the last."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..brokers import Mosquitto, await_listener, mosquitto
from ..client import Client
from ..harness import Figure, Scale, percentile
from ..postgres import PostgresServer
from ..process import Server, host

FLAT = 1.25
AT_ONCE = 20
"""Requests under way together, whatever the number of nodes: the same load from more and more of them."""
ROUNDS = 2
ONE = "tokens=1 pace=0"


@dataclass
class House:
    """Hosts that share a broker and a database."""

    broker: Mosquitto
    database: PostgresServer
    hosts: list[Server]

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far, by part."""
        return {
            "hosts": sum(each.cpu_s() for each in self.hosts),
            "broker": self.broker.cpu_s(),
            "database": sum(map(_cpu_s, self.database.processes())),
        }


def scale(scale: Scale) -> Iterator[Figure]:
    """CPU for each request of a node, by the number of nodes and of hosts; one broker, one PostgreSQL."""
    with ExitStack() as stack:
        broker = mosquitto(scale.folder)
        if broker is None:
            print("    Mosquitto is not installed: nothing is measured.")
            return
        stack.enter_context(broker)
        await_listener(broker.port)
        database = stack.enter_context(PostgresServer())
        sizes = (200, 400) if scale.quick else (250, 500, 1000, 2000)
        yield from _by_nodes(scale.folder, broker, database, sizes)
        counts = (1, 2) if scale.quick else (1, 2, 4)
        yield from _by_hosts(scale.folder, broker, database, counts, scale.of(400, 100))


def _by_nodes(
    folder: Path, broker: Mosquitto, database: PostgresServer, sizes: tuple[int, ...]
) -> Iterator[Figure]:
    costs, waits = {}, {}
    with _house(folder / "nodes", broker, database, 2) as house:
        _asked(house, 50, "warm")
        for count in sizes:
            costs[count], waits[count] = _asked(house, count, f"n{count}")
    total = {count: sum(cost.values()) for count, cost in costs.items()}
    raw = {f"{count} nodes, ms for hosts, broker, database": [*costs[count].values()] for count in sizes}
    raw |= {f"{count} nodes, p50 and p99 ms": waits[count] for count in sizes}
    yield Figure(
        f"CPU per request, {sizes[-1]:,} nodes / {sizes[0]}, two hosts",
        total[sizes[-1]] / total[sizes[0]], at_most=FLAT, raw=raw,
    )  # fmt: skip


def _by_hosts(
    folder: Path, broker: Mosquitto, database: PostgresServer, counts: tuple[int, ...], nodes: int
) -> Iterator[Figure]:
    costs, waits = {}, {}
    for count in counts:
        with _house(folder / f"hosts{count}", broker, database, count) as house:
            _asked(house, 50, "warm")
            costs[count], waits[count] = _asked(house, nodes, f"h{count}")
    total = {count: sum(cost.values()) for count, cost in costs.items()}
    raw = {f"{count} hosts, ms for hosts, broker, database": [*costs[count].values()] for count in counts}
    raw |= {f"{count} hosts, p50 and p99 ms": waits[count] for count in counts}
    most = counts[-1]
    yield Figure(f"CPU per request, {most} hosts / 1, {nodes} nodes", total[most] / total[1], raw=raw)
    slope = (total[most] - total[counts[0]]) / (most - counts[0])
    yield Figure("CPU per request that each further host costs all others", slope, "ms")


@contextmanager
def _house(folder: Path, broker: Mosquitto, database: PostgresServer, count: int) -> Iterator[House]:
    """Hosts on a database of their own, until the block ends."""
    settings = {
        "plugins.nodes.broker": f"mqtt://127.0.0.1:{broker.port}", "plugins.nodes.embedded": "false",
        "plugins.memory.store": database.create(f"bench_{folder.name}"),
    }  # fmt: skip
    with ExitStack() as stack:
        hosts = []
        for number in range(count):
            server = stack.enter_context(host(folder / str(number), "nodes.yaml", settings=settings))
            server.ready()
            hosts.append(server)
        time.sleep(3)  # until they know each other
        yield House(broker, database, hosts)


def _asked(house: House, count: int, name: str) -> tuple[dict[str, float], list[float]]:
    """Milliseconds of CPU for each request, by part; p50 and p99 of the first piece of the answer."""
    with Client("benchmarks.nodes") as client:
        client.do("connect", port=house.broker.port, way="host", count=count, name=name)
        client.do("ask", way="host", prompt=ONE, at_once=AT_ONCE)  # every node is known, and has its host
        before = house.cpu_s()
        told = client.do("ask", way="host", prompt=ONE, at_once=AT_ONCE, rounds=ROUNDS)
        after = house.cpu_s()
    requests = count * ROUNDS
    cost = {part: (after[part] - was) * 1000 / requests for part, was in before.items()}
    return cost, [percentile(told["waits_ms"], 50), percentile(told["waits_ms"], 99)]


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
