"""All nodes of a measurement, in a process of their own: `python -m benchmarks.nodes`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack
from time import perf_counter
from typing import Any

from .client import run
from .mqtt import Line

SAMPLES = 960
FRAME_S = 0.06
AT_ONCE = 100
LIMIT_S = 60.0
INFO = b'{"name":"%s","area":"bench","proto":"v1","audio":{"up":{"codec":"pcm16","rate":16000}}}'


@dataclass(frozen=True, slots=True)
class Way:
    """Where a node talks to one of the two that are compared."""

    root: str
    ask: str
    first: str
    end: str
    sound: str
    here: str
    """A topic that is kept and tells that somebody listens."""


WAYS = {
    "host": Way("jota/v1/nodes/", "req/text", "res/delta", "res/final", "audio/up", "jota/v1/host/+/status"),
    "echo": Way("echo/", "req", "res", "res", "audio", "echo/ready"),
}


class Node:
    """One node, and the request that it waits for."""

    def __init__(self, way: Way, id_: str) -> None:
        self.way = way
        self.root = f"{way.root}{id_}/"
        self.deltas = 0
        self.waits_ms: list[float] = []
        self.line = Line(id_, self._take)
        self._began = 0.0
        self._is_first = False
        self._end: asyncio.Future[None] | None = None

    def _take(self, topic: str, payload: bytes) -> None:
        kind = topic.removeprefix(self.root)
        if kind == self.way.first:
            self.deltas += 1
            if self._is_first:
                self._is_first = False
                self.waits_ms.append((perf_counter() - self._began) * 1000)
        if self._end is not None and not self._end.done():
            if kind == self.way.end:
                self._end.set_result(None)
            elif kind == "res/error":
                self._end.set_exception(ConnectionError(payload.decode()))

    async def ask(self, prompt: bytes) -> None:
        """One request, to its end."""
        self._end, self._is_first = asyncio.get_running_loop().create_future(), True
        self._began = perf_counter()
        self.line.publish(self.root + self.way.ask, prompt)
        await self._end

    async def speak(self, stream: int, turn: int, count: int) -> list[tuple[str, float]]:
        """Frames at their natural pace, named in their first samples; when each was sent."""
        sent, began = [], time.monotonic()
        for seq in range(count):
            await asyncio.sleep(began + seq * FRAME_S - time.monotonic())
            flags = (seq == 0) | (seq == count - 1) << 1
            name = pack("<hhh", stream, turn, seq)
            frame = pack(">BBHI", 0xA1, flags, turn, seq) + name + bytes(2 * SAMPLES - len(name))
            sent.append((name.hex(), time.monotonic()))
            self.line.publish(self.root + self.way.sound, frame, 0)
        return sent


class Nodes:
    """The jobs that they do."""

    def __init__(self) -> None:
        self._nodes: dict[str, list[Node]] = {name: [] for name in WAYS}

    async def wait(self, port: int, way: str) -> dict[str, Any]:
        """Until somebody listens at the other end."""
        news = asyncio.Event()
        line = await self._open(port, Line(f"wait-{way}", lambda _topic, _payload: news.set()))
        await line.ready((WAYS[way].here,))
        async with asyncio.timeout(LIMIT_S):
            await news.wait()
        line.close()
        return {}

    async def connect(self, port: int, way: str, count: int, name: str) -> dict[str, Any]:
        """So many nodes that say what they are; those of before go on."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> Node:
            async with gate:
                node = Node(WAYS[way], f"{name}-{number}")
                await self._open(port, node.line)
                await node.line.ready((f"{node.root}res/#", f"{node.root}cmd/#"))
                if way == "host":
                    node.line.publish(node.root + "status", b"online", retain=True)
                    node.line.publish(node.root + "info", INFO % node.line.id.encode(), retain=True)
                return node

        self._nodes[way] = await asyncio.gather(*(one(number) for number in range(count)))
        return {}

    async def _open(self, port: int, line: Line) -> Line:
        await asyncio.get_running_loop().create_connection(lambda: line, "127.0.0.1", port)
        return line

    async def ask(
        self, way: str, prompt: str, count: int = 0, rounds: int = 1, at_once: int = 10_000
    ) -> dict[str, Any]:
        """Each of so many nodes (all: 0) asks `rounds` times, one request after the other."""
        nodes: Sequence[Node] = self._nodes[way][: count or None]
        gate = asyncio.Semaphore(at_once)
        for node in nodes:
            node.waits_ms, node.deltas = [], 0

        async def one(node: Node) -> None:
            async with gate:
                for _ in range(rounds):
                    await node.ask(prompt.encode())

        began = perf_counter()
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*(one(node) for node in nodes))
        return {
            "seconds": perf_counter() - began,
            "waits_ms": [round(wait, 3) for node in nodes for wait in node.waits_ms],
            "deltas": sum(node.deltas for node in nodes),
        }

    async def speak(self, way: str, count: int, run: int, seconds: float) -> dict[str, Any]:
        """Streams of so many nodes, which do not begin in the same moment."""

        async def one(stream: int) -> list[tuple[str, float]]:
            await asyncio.sleep(stream * FRAME_S / count)
            return await self._nodes[way][stream].speak(stream, run, round(seconds / FRAME_S))

        found = await asyncio.gather(*(one(stream) for stream in range(count)))
        return {"sent": [each for stream in found for each in stream]}


if __name__ == "__main__":
    run(Nodes())
