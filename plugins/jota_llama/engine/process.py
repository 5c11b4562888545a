"""The child process as the host sees it: started, watched, ended, and its last words kept."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from jota_core.api import NotReady, TaskOwner

from .plan import Plan

CHILD = Path(__file__).with_name("child.py")
LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel takes at most 107."""
LAST_WORDS = 60
END_S = 3.0


class EngineProcess:
    """One life of the child."""

    def __init__(self, folder: Path, name: str, on_exit: Callable[[], None]) -> None:
        self.exited = asyncio.Event()
        self.last_words: deque[str] = deque(maxlen=LAST_WORDS)
        self._log = folder / "logs" / f"{name}-engine.log"
        self._socket = folder / "run" / f"{name}.sock"
        self._on_exit = on_exit
        self._process: Process | None = None
        self._tasks = TaskOwner(f"{name} engine")
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    @property
    def pid(self) -> int | None:
        """Process id; None before `start`."""
        return self._process.pid if self._process else None

    async def start(self, plan: Plan) -> Path:
        """Start it and return its socket, on which it will soon listen. Raises `OSError`."""
        socket = self._prepare_socket()
        # Its own session: Ctrl-C in a terminal is the host's to handle, and it drains first.
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", str(CHILD), stdin=PIPE, stdout=PIPE, stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        self._tasks.start("watch", self._watch(self._process))
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({**asdict(plan), "socket": str(socket)}).encode() + b"\n")
        return socket

    async def stop(self) -> None:
        """End it at once: a generation in it is lost. Safe to call twice."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        if self._process is not None:
            await asyncio.wait_for(self.exited.wait(), END_S)
        await self._tasks.close()
        if self._temporary is not None:
            await asyncio.to_thread(self._temporary.cleanup)
            self._temporary = None
        self._socket.unlink(missing_ok=True)

    def reason(self) -> str:
        """Why it ended, in a few words of its own."""
        code = self._process.returncode if self._process else None
        words = [line for line in self.last_words if " E " in line or "rror" in line][-1:]
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return f"{how}; {words[0].strip()[:200]}" if words else how

    def _prepare_socket(self) -> Path:
        if len(str(self._socket).encode()) > LONGEST_SOCKET_PATH:
            self._temporary = tempfile.TemporaryDirectory(prefix="jota-")  # made private (0700)
            return Path(self._temporary.name) / "engine.sock"
        self._socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        return self._socket

    async def _watch(self, process: Process) -> None:
        assert process.stdout is not None
        try:
            rest = b""
            while data := await process.stdout.read(65536):
                *lines, rest = (rest + data).split(b"\n")
                rest = rest[-4096:]
                self.last_words.extend(line.decode("utf-8", "replace") for line in lines[-LAST_WORDS:])
            if rest:
                self.last_words.append(rest.decode("utf-8", "replace"))
            code = await process.wait()
        finally:
            self.exited.set()
            self._on_exit()
        if code:
            await asyncio.to_thread(self._write_log)

    def _write_log(self) -> None:
        self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._log.write_text("\n".join(self.last_words), encoding="utf-8")


def ended_early(process: EngineProcess, model: Path) -> NotReady:
    """What to raise when the child ends before it is ready."""
    return NotReady(
        f"The engine could not load {model.name} ({process.reason()}). The file may be broken or of a "
        "kind that llama.cpp does not know: fetch it again, or choose another with `jota models use`."
    )
