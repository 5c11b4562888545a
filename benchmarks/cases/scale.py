"""Many hosts and thousands of scripted nodes: whether the next one costs as much as the last."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ..brokers import Mosquitto, await_listener, mosquitto
from ..client import Client
from ..harness import Figure, Scale, percentile
from ..postgres import PostgresServer
from ..process import Server, host

FLAT = 1.25
AT_ONCE = 20
"""Requests under way together at each broker, however many nodes are there."""
ROUNDS = 2
ONE = "tokens=1 pace=0"


@dataclass
class House:
    """Hosts that share a database; those of one part share a broker."""

    brokers: Sequence[Mosquitto]
    database: PostgresServer
    hosts: list[Server]

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far, by part."""
        return {
            "hosts": sum(each.cpu_s() for each in self.hosts),
            "broker": sum(each.cpu_s() for each in self.brokers),
            "database": sum(map(_cpu_s, self.database.processes())),
        }


def scale(scale: Scale) -> Iterator[Figure]:
    """CPU for each request of a node, by the number of nodes, of hosts on one broker, and of such parts."""
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
        yield from _by_parts(scale.folder, database, counts, scale.of(500, 100))


def _by_nodes(
    folder: Path, broker: Mosquitto, database: PostgresServer, sizes: tuple[int, ...]
) -> Iterator[Figure]:
    costs, waits = {}, {}
    with _house(folder / "nodes", [broker], database, 2) as house:
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
        with _house(folder / f"hosts{count}", [broker], database, count) as house:
            _asked(house, 50, "warm")
            costs[count], waits[count] = _asked(house, nodes, f"h{count}")
    total = {count: sum(cost.values()) for count, cost in costs.items()}
    raw = {f"{count} hosts, ms for hosts, broker, database": [*costs[count].values()] for count in counts}
    raw |= {f"{count} hosts, p50 and p99 ms": waits[count] for count in counts}
    most = counts[-1]
    yield Figure(f"CPU per request, {most} hosts / 1, {nodes} nodes", total[most] / total[1], raw=raw)
    slope = (total[most] - total[counts[0]]) / (most - counts[0])
    yield Figure("CPU per request that each further host costs all others", slope, "ms")


def _by_parts(
    folder: Path, database: PostgresServer, counts: tuple[int, ...], nodes: int
) -> Iterator[Figure]:
    """So many nodes, two hosts, a broker and as much to do more each time; the memory is one for all."""
    costs, waits = {}, {}
    for count in counts:
        with ExitStack() as stack:
            brokers = [
                stack.enter_context(_broker(folder / f"broker{count}-{each}")) for each in range(count)
            ]
            house = stack.enter_context(_house(folder / f"parts{count}", brokers, database, 2))
            _asked(house, 50, "warm")
            costs[count], waits[count] = _asked(house, nodes, f"p{count}")
    total = {count: sum(cost.values()) for count, cost in costs.items()}
    raw = {f"{count} parts, ms for hosts, brokers, database": [*costs[count].values()] for count in counts}
    raw |= {f"{count} parts, p50 and p99 ms": waits[count] for count in counts}
    most = counts[-1]
    yield Figure(
        f"CPU per request, {most} parts of {nodes} nodes and two hosts / 1",
        total[most] / total[1], at_most=FLAT, raw=raw,
    )  # fmt: skip


@contextmanager
def _broker(folder: Path) -> Iterator[Mosquitto]:
    """One more, where there is one already."""
    folder.mkdir()
    started = mosquitto(folder)
    assert started is not None
    with started:
        await_listener(started.port)
        yield started


@contextmanager
def _house(
    folder: Path, brokers: Sequence[Mosquitto], database: PostgresServer, count: int
) -> Iterator[House]:
    """So many hosts for each broker, on a database of their own, until the block ends."""
    store = database.create(f"bench_{folder.name}")
    with ExitStack() as stack:
        hosts = []
        for number, broker in enumerate(each for each in brokers for _ in range(count)):
            settings = {
                "plugins.nodes.broker": f"mqtt://127.0.0.1:{broker.port}", "plugins.nodes.embedded": "false",
                "plugins.memory.store": store,
            }  # fmt: skip
            server = stack.enter_context(host(folder / str(number), "nodes.yaml", settings=settings))
            server.ready()
            hosts.append(server)
        time.sleep(3)  # until they know each other
        yield House(brokers, database, hosts)


def _asked(house: House, count: int, name: str) -> tuple[dict[str, float], list[float]]:
    """Milliseconds of CPU for each request, by part; p50 and p99 of the first piece of the answer.

    So many nodes at each broker, with as many requests under way as at any other.
    """
    parts = len(house.brokers)
    with ExitStack() as stack:
        clients = [stack.enter_context(Client("benchmarks.nodes")) for _ in house.brokers]
        pool = stack.enter_context(ThreadPoolExecutor(parts))
        for number, (client, broker) in enumerate(zip(clients, house.brokers, strict=True)):
            client.do("connect", port=broker.port, way="host", count=count, name=f"{name}-{number}")

        def ask(rounds: int) -> list[dict[str, Any]]:
            wish = {"way": "host", "prompt": ONE, "at_once": AT_ONCE, "rounds": rounds}
            return list(pool.map(lambda client: client.do("ask", **wish), clients))

        ask(1)  # every node is known, and has its host
        before = house.cpu_s()
        told = ask(ROUNDS)
        after = house.cpu_s()
    requests = count * ROUNDS * parts
    cost = {part: (after[part] - was) * 1000 / requests for part, was in before.items()}
    waits = [wait for each in told for wait in each["waits_ms"]]
    return cost, [percentile(waits, 50), percentile(waits, 99)]


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
