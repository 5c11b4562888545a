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
from jota_core.hosting.verdicts import describe

from .dividing import KINDS
from .line import LONGEST, READY, REMINDER

ENVIRON = "JOTA_WORKER"
FIRST_S = 40.0
"""The others wait so long for the first, whose engines and memory they use."""
PACE = Pace(first_retry_s=0.2, longest_retry_s=5.0, slow_retry_s=60.0)
WRONG, MISSING = 2, 3
"""Exit codes after which another try is no use."""
INTERRUPTED = 130
"""Of the manager, after a second signal."""
MOST_WAITING = 2 * LONGEST
"""Bytes for a worker that does not read; facts beyond are left out."""
log = logging.getLogger("jota.workers")


class Manager:
    """`arguments` are those of `jota run`, for every worker; `lock` is of the data folder.

    The workers inherit the lock: when the manager is killed, nobody gets the folder before they are gone.
    """

    def __init__(self, count: int, arguments: Sequence[str], drain_s: float, lock: int) -> None:
        self._count = count
        self._lock = lock
        self._arguments = arguments
        self._limit_s = 2 * drain_s + 10
        self._held = _reserved(KINDS)
        ports = {kind: each.getsockname()[1] for kind, each in self._held.items()}
        self._shared = {"count": count, "ports": ports, "key": secrets.token_urlsafe(32)}
        self._running: dict[int, Process] = {}
        self._ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._told: set[int] = set()
        """Who was asked to stop."""
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
        for each in self._held.values():
            each.close()
        return self._code

    def _stop(self) -> None:
        """The others drain, then the first, whose engines and memory they use; a second signal kills all."""
        if self._stopping.is_set():
            self._code = self._code or INTERRUPTED
            self._send(signal.SIGKILL, lambda _: True)
            return
        self._stopping.set()
        self._end(lambda number: number > 1 or len(self._running) == 1)

    def _end(self, wanted: Callable[[int], bool]) -> None:
        """Ask them to stop, once, as a second signal cuts answers; after the limit they are killed."""
        found = self._running.items()
        told = {number: each for number, each in found if wanted(number) and number not in self._told}
        self._told |= told.keys()
        self._send(signal.SIGTERM, told.__contains__)
        asyncio.get_running_loop().call_later(self._limit_s, self._kill, told)

    def _kill(self, told: Mapping[int, Process]) -> None:
        for number, process in told.items():
            if process.returncode is None:
                log.error("Worker %d did not stop within %.0f s; it is killed.", number, self._limit_s)
                process.kill()

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
            log.error("Worker %d %s; it is started again in %.1f s.", number, _said(code), delay_s)
            await _either(self._stopping, self._stopping, delay_s)

    async def _once(self, number: int) -> int | Exception:
        """One worker, from its start to its end: its exit code, or why it did not start."""
        try:
            process = await self._started(number)
        except (OSError, RuntimeError) as error:  # no descriptor, process, thread or memory left
            return error
        self._running[number] = process
        if self._stopping.is_set():  # it came too late to be told
            self._end(number.__eq__)
        try:
            await self._hear(number, process)
            return await self._ended(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            del self._running[number]
            if self._stopping.is_set() and set(self._running) == {1}:
                self._end(lambda _: True)

    async def _started(self, number: int) -> Process:
        environ = {**os.environ, ENVIRON: orjson.dumps({**self._shared, "number": number}).decode()}
        command = [sys.executable, "-m", "jota_core.cli", "run", *self._arguments]
        # Its own session: Ctrl-C in a terminal is the manager's to handle, and the first drains last.
        return await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, env=environ, limit=LONGEST, pass_fds=(self._lock,),
            start_new_session=True,
        )  # fmt: skip

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
        while line := await _line(process.stdout):
            if line.startswith(b'{"%b":' % READY.encode()) and number == 1:
                self._ready.set()
            elif line.startswith(b'{"%b":' % REMINDER.encode()):
                self._pass_on(number, line)

    def _pass_on(self, number: int, line: bytes) -> None:
        for other, process in self._running.items():
            end = process.stdin
            if other == number or end is None or end.is_closing():
                continue
            if end.transport.get_write_buffer_size() + len(line) > MOST_WAITING:
                log.warning("Worker %d does not read what it is told; a reminder is left out.", other)
            else:
                end.write(line)


def _said(end: int | Exception) -> str:
    """What became of a worker, for people."""
    if isinstance(end, int):
        return f"ended (exit code {end})"
    return f"cannot be started ({describe(end)}: look at the limits of this process, and at free memory)"


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line; one beyond the limit is none of ours, and comes out empty but for its end."""
    try:
        return await stream.readline()
    except ValueError:
        return b"\n"


async def _either(one: asyncio.Event, other: asyncio.Event, limit_s: float) -> None:
    """Until one of the two happens, at most so long."""
    waiting = {asyncio.ensure_future(each.wait()) for each in (one, other)}
    try:
        await asyncio.wait(waiting, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


def _reserved(kinds: Sequence[str]) -> Mapping[str, socket.socket]:
    """A port of 127.0.0.1 for each kind. Nobody listens on these sockets; they only hold the ports.

    Others who ask to share a port get it if they are of the same user: the first worker does, at every start.
    """
    held = {kind: socket.socket() for kind in kinds}
    for each in held.values():
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        each.bind(("127.0.0.1", 0))
    return held
