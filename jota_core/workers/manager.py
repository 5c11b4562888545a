"""The manager: starts the workers, keeps them alive, passes facts between them, and ends them together."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence

import orjson

from jota_core.hosting.backoff import Pace, Retry

from .dividing import KINDS

ENVIRON = "JOTA_WORKER"
FIRST_S = 40.0
"""The others wait so long for the first, whose engines and memory they use."""
PACE = Pace(first_retry_s=0.2, longest_retry_s=5.0, slow_retry_s=60.0)
WRONG, MISSING = 2, 3
"""Exit codes after which another try is no use."""
log = logging.getLogger("jota.workers")


class Manager:
    """`arguments` are those of `jota run`, for every worker."""

    def __init__(self, count: int, arguments: Sequence[str], drain_s: float) -> None:
        self._count = count
        self._arguments = arguments
        self._limit_s = 2 * drain_s + 10
        self._shared = {"count": count, "ports": _free_ports(KINDS), "key": secrets.token_urlsafe(32)}
        self._running: dict[int, Process] = {}
        self._ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        """Until a signal, or until the first worker cannot start at all; returns the exit code."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stop)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(1))
            await _either(self._ready, self._stopping, FIRST_S)
            for number in range(2, self._count + 1):
                group.create_task(self._keep(number))
        return self._code

    def _stop(self) -> None:
        """The others drain, then the first, whose engines and memory they use; a second signal kills all."""
        if self._stopping.is_set():
            self._send(signal.SIGKILL, lambda _: True)
        self._stopping.set()
        self._send(signal.SIGTERM, lambda number: number > 1 or len(self._running) == 1)

    def _send(self, what: signal.Signals, wanted: Callable[[int], bool]) -> None:
        for number, process in self._running.items():
            if wanted(number) and process.returncode is None:
                process.send_signal(what)

    async def _keep(self, number: int) -> None:
        retry, loop = Retry(PACE), asyncio.get_running_loop()
        while not self._stopping.is_set():
            began = loop.time()
            code = await self._once(number)
            if self._stopping.is_set():
                return
            if number == 1 and not self._ready.is_set() and code in (WRONG, MISSING):
                self._code = code
                self._stop()
                return
            retry.lasted(loop.time() - began)
            delay_s = retry.delay(loop.time(), crashed=True)
            log.error("Worker %d ended (exit code %d); it is started again in %.1f s.", number, code, delay_s)
            await _either(self._stopping, self._stopping, delay_s)

    async def _once(self, number: int) -> int:
        """One worker, from its start to its end."""
        environ = {**os.environ, ENVIRON: orjson.dumps({**self._shared, "number": number}).decode()}
        command = [sys.executable, "-m", "jota_core.cli", "run", *self._arguments]
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=environ)
        self._running[number] = process
        if self._stopping.is_set():  # it came too late to be told
            process.terminate()
        try:
            await self._hear(number, process)
            return await self._ended(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            del self._running[number]
            if self._stopping.is_set() and set(self._running) == {1}:
                self._send(signal.SIGTERM, lambda _: True)

    async def _ended(self, process: Process) -> int:
        """Its exit code; one that lingers behind its closed line is killed."""
        try:
            async with asyncio.timeout(self._limit_s):
                return await process.wait()
        except TimeoutError:
            process.kill()
            return await process.wait()

    async def _hear(self, number: int, process: Process) -> None:
        """Pass on what it tells, until it hangs up."""
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if b'"ready"' in line and number == 1:
                self._ready.set()
            elif b'"reminder"' in line:
                self._pass_on(number, line)

    def _pass_on(self, number: int, line: bytes) -> None:
        for other, process in self._running.items():
            if other != number and process.stdin is not None and not process.stdin.is_closing():
                process.stdin.write(line)


async def _either(one: asyncio.Event, other: asyncio.Event, limit_s: float) -> None:
    """Until one of the two happens, at most so long."""
    waiting = {asyncio.ensure_future(each.wait()) for each in (one, other)}
    try:
        await asyncio.wait(waiting, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


def _free_ports(kinds: Sequence[str]) -> Mapping[str, int]:
    """A port of 127.0.0.1 for each kind, the same for as long as the manager lives."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in kinds]
    ports = {kind: probe.getsockname()[1] for kind, probe in zip(kinds, probes, strict=True)}
    for probe in probes:
        probe.close()
    return ports
