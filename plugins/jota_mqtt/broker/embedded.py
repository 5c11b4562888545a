"""The broker in the box: a supervised child process that listens on this machine only."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tomllib
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from logging import Logger
from pathlib import Path
from socket import AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket

from jota_core.api import NotReady

from ..settings import MqttSettings

USER = "jota"
TAKEN = (
    "Port {0} is taken by another program. If that is a broker of yours, set `embedded: false` in this "
    "section; else stop it, or choose another port in `broker:`."
)
CHILD = Path(__file__).with_name("child.py")
"""Run as a file: as a module it would bring the whole of Jota along, 15 MB of it."""
LOOK_S = 0.05
# Its log keeps every message of a topic filter until it is overwritten: a small one is enough for a house.
TOML = """id = 0
[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 4
[v4.1]
name = "nodes"
listen = "{listen}"
next_connection_delay_ms = 0
    [v4.1.connections]
    connection_timeout_ms = 5000
    max_payload_size = 131072
    max_inflight_count = 1000
    dynamic_filters = true
"""
AUTH = """    [v4.1.connections.auth]
    {user} = "{password}"
"""


class Embedded:
    """One life of the broker after the other; `run` is kept alive by the host."""

    def __init__(self, settings: MqttSettings, folder: Path, log: Logger) -> None:
        self._settings = settings
        self._folder = folder
        self._log = log
        self._process: Process | None = None
        self.trouble = "The broker in the box is starting."
        self.password: str | None = None
        """What the user `jota` needs; None where nobody does."""

    def prepare(self) -> None:
        """Write its configuration, with the password of the first time. Raises `OSError`."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        listen = f"{self._settings.hostname.replace('localhost', '127.0.0.1')}:{self._settings.port}"
        text = TOML.format(listen=listen)
        if not self._settings.anonymous:
            self.password = _password(self._file) or secrets.token_urlsafe(24)
            text += AUTH.format(user=USER, password=self.password)
        with os.fdopen(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)

    @property
    def _file(self) -> Path:
        return self._folder / "broker.toml"

    async def run(self) -> None:
        """Until it ends, which is an error. Raises `OSError`, and `NotReady` when the port is taken."""
        living = asyncio.ensure_future(self._live())
        try:
            await asyncio.shield(living)
        except asyncio.CancelledError:
            self.kill()
            with suppress(ConnectionResetError):
                await living
            raise

    def kill(self) -> None:
        """End this life: it is broken, or nobody needs it any more."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _live(self) -> None:
        self._check_port()
        # Its own session: Ctrl-C in a terminal is the host's to handle, and it drains first.
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", str(CHILD), str(self._file),
            stdin=PIPE, stdout=DEVNULL, stderr=PIPE, start_new_session=True,
        )  # fmt: skip
        watching = asyncio.ensure_future(self._watch(process))
        await self._until_it_listens(watching)
        await watching
        self.trouble = "The broker in the box ended; it is started again."
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()
        raise ConnectionResetError(self.trouble)

    async def _until_it_listens(self, watching: asyncio.Future[None]) -> None:
        """Nobody is sent to it before."""
        while not watching.done():
            try:
                _, writer = await asyncio.open_connection(self._settings.hostname, self._settings.port)
            except OSError:
                await asyncio.sleep(LOOK_S)
            else:
                writer.close()
                self.trouble = ""
                return

    async def _watch(self, process: Process) -> None:
        """Until its errors end. A thread of it that panics leaves it deaf, so then it is ended."""
        assert process.stderr is not None
        while line := await process.stderr.readline():
            if b"panicked" in line:
                self._log.warning("The broker in the box failed (%s).", line.decode(errors="replace").strip())
                process.kill()

    def _check_port(self) -> None:
        with socket(AF_INET, SOCK_STREAM) as probe:
            probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            try:
                probe.bind((self._settings.hostname, self._settings.port))
            except OSError:
                self.trouble = TAKEN.format(self._settings.port)
                raise NotReady(self.trouble) from None


def _password(file: Path) -> str | None:
    """The one that was made before."""
    try:
        told = tomllib.loads(file.read_text())
        return str(told["v4"]["1"]["connections"]["auth"][USER])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return None
