"""The client: a process of its own, so that its CPU does not count, told what to do line by line.

`python -m benchmarks.client` reads one JSON object a line and answers with one; `Client` drives it.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import socket
import subprocess
import sys
from array import array
from functools import partial
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import uvloop

from .process import KEY
from .sockets import Http, Tally, WebSocket, text_frame

AT_ONCE = 256
"""Handshakes under way together."""
PER_ADDRESS = 5000
"""Connections from one source address; there are 28,000 ports at most."""
IP_BIND_ADDRESS_NO_PORT = 24
"""From Linux's `in.h`; the module `socket` has no name for it before Python 3.12."""
PATH = "/api/v1/ws/chat/{user}?frames=json&new=1"


def request(method: str, path: str, body: str) -> bytes:
    """One HTTP request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nx-client-key: {KEY}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


async def connected(port: int, index: int) -> socket.socket:
    """A connection from one of many source addresses.

    The kernel picks the port when it connects: picking it in `bind` gets slow once thousands were used.
    """
    made = socket.socket()
    made.setblocking(False)
    made.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    made.bind((f"127.0.0.{1 + index // PER_ADDRESS}", 0))
    await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
    return made


class Apps:
    """All connections of this process, and the jobs that they do."""

    def __init__(self) -> None:
        self._sockets: list[WebSocket] = []
        self._tally = Tally()

    async def connect(self, port: int, count: int, path: str = PATH) -> dict[str, Any]:
        """Open `count` WebSockets of as many users."""
        began, gate = perf_counter(), asyncio.Semaphore(AT_ONCE)

        async def one(index: int) -> WebSocket:
            async with gate:
                where = path.format(user=f"user{len(self._sockets) + index}")
                _, app = await asyncio.get_running_loop().create_connection(
                    lambda: WebSocket(self._tally, where, KEY), sock=await connected(port, index)
                )
                await app.opened
                return app

        self._sockets += await asyncio.gather(*(one(index) for index in range(count)))
        return {"open": len(self._sockets), "seconds": perf_counter() - began}

    async def ask(
        self,
        prompt: str,
        rounds: int = 1,
        pause_s: float = 0.0,
        stagger_s: float = 0.0,
        delays: bool = False,
    ) -> dict[str, Any]:
        """Every socket asks `rounds` times, beginning and pausing for random times up to those named."""
        tally, frame = Tally(), text_frame(prompt)
        tally.delays = array("d") if delays else None
        chance = random.Random(4711)

        async def one(app: WebSocket) -> None:
            app.count_in(tally)
            await asyncio.sleep(chance.random() * stagger_s)
            for _ in range(rounds):
                await app.ask(frame)
                if pause_s:
                    await asyncio.sleep(chance.random() * pause_s)

        began = perf_counter()
        await asyncio.gather(*(one(app) for app in self._sockets))
        return {
            "tokens": tally.tokens, "ended": tally.ended, "failed": tally.failed,
            "seconds": perf_counter() - began, "waits_ms": [round(wait * 1000, 3) for wait in tally.waits],
            "delays_ms": [round(delay, 4) for delay in tally.delays or ()],
        }  # fmt: skip

    async def rest(self, port: int, method: str, path: str, body: str, count: int, at_once: int) -> Any:
        """`count` requests over `at_once` connections, each of a user of its own (`USER` in the body)."""
        began, loop = perf_counter(), asyncio.get_running_loop()
        made = [
            await loop.create_connection(
                partial(Http, request(method, path, body.replace("USER", f"rest{n}")), count // at_once),
                "127.0.0.1", port,
            )
            for n in range(at_once)
        ]  # fmt: skip
        await asyncio.gather(*(http.done for _, http in made))
        return {"good": sum(http.good for _, http in made), "seconds": perf_counter() - began}

    async def close(self) -> dict[str, Any]:
        """Hang up."""
        for app in self._sockets:
            app.transport.abort()
        lost, self._sockets = len(self._sockets), []
        await asyncio.sleep(0.2)
        return {"closed": lost}


async def obey(worker: object) -> None:
    """Do what standard input says until it ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        wish = json.loads(line)
        try:
            answer = await getattr(worker, wish.pop("do"))(**wish)
        except OSError as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


class Client:
    """The client process as the benchmarks see it; `module` says which jobs it knows."""

    def __init__(self, module: str = "benchmarks.client") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def do(self, job: str, **wish: object) -> dict[str, Any]:
        """Run one job to its end. Raises `RuntimeError` when it failed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": job, **wish}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(f"{job}: {answer['error']}")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()


def run(worker: object) -> None:
    """Do what standard input says, with as many files as there may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    async def obeying() -> None:
        await obey(worker)

    uvloop.run(obeying())


if __name__ == "__main__":
    run(Apps())
