"""Servers as processes of their own: started, watched from outside through `/proc`, stopped. Linux only."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

SITE = Path(__file__).parent / "site"
JOTA = Path(sys.executable).with_name("jota")
KEY = "benchmark-key-0123456789abcdef"


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Server:
    """One server process that listens on `port` of 127.0.0.1."""

    def __init__(self, command: Sequence[str | Path], port: int, log: Path | None = None) -> None:
        self.port = port
        self.began = time.monotonic()
        output = log.open("ab") if log else None
        self._process = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, "JOTA_BENCH_KEY": KEY, "JOTA_BENCH_CENTER": "ws://127.0.0.1:1"},
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
        if output:
            output.close()

    @property
    def pid(self) -> int:
        """The process itself; its children are not counted anywhere here."""
        return self._process.pid

    def ready(self, limit_s: float = 30.0, path: str = "/health") -> float:
        """Wait until it answers 200; returns the seconds since it was started."""
        while (status := self._status(path)) != 200:
            if self._process.poll() is not None:
                raise RuntimeError(f"The server ended with {self._process.returncode} before it was ready.")
            if time.monotonic() - self.began > limit_s:
                raise TimeoutError(f"The server was not ready within {limit_s:g} s (status {status}).")
            time.sleep(0.005)
        return time.monotonic() - self.began

    def _status(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def cpu_s(self) -> float:
        """CPU seconds of all its threads, ended ones too: utime and stime, in nanoseconds' precision."""
        # The kernel derives the clock of a foreign process from its id; see clock_getcpuclockid(3).
        return time.clock_gettime(~self.pid << 3 | 2)

    def rss_bytes(self) -> int:
        """Resident memory."""
        return self._status_line("VmRSS") * 1024

    def threads(self) -> int:
        """Threads that live now."""
        return self._status_line("Threads")

    def _status_line(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        raise LookupError(name)

    def files(self) -> int:
        """Open file descriptors."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208  # a count needs no paths

    def stop(self, limit_s: float = 20.0) -> int:
        """End it in good order and return its exit code; killed after the limit."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """`kill -9`."""
        self._process.kill()
        return self._process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.stop()


def floor() -> Server:
    """Start the floor F."""
    port = free_port()
    return Server([sys.executable, "-m", "benchmarks.floor", str(port)], port)


def scripted_center() -> Server:
    """Start the scripted center."""
    port = free_port()
    return Server([sys.executable, "-m", "benchmarks.center", str(port)], port)


def bare_relay(url: str) -> Server:
    """Start the floor of the link, in front of the center at `url`."""
    port = free_port()
    return Server([sys.executable, "-m", "benchmarks.relay", str(port), url], port)


def host(
    folder: Path,
    yaml: str = "bench.yaml",
    *,
    settings: Mapping[str, object] | None = None,
    port: int | None = None,
    log: Path | None = None,
) -> Server:
    """Start `jota run` on a copy of the site in `folder`; its data lie in `folder/data`."""
    port = port or free_port()
    shutil.copytree(SITE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    wishes = {"plugins.app.listen": f"127.0.0.1:{port}", **(settings or {})}
    options = [part for key, value in wishes.items() for part in ("--set", f"{key}={value}")]
    command: list[str | Path] = [JOTA, "run", "-c", folder / yaml, "--data", folder / "data", *options]
    return Server(command, port, log)
