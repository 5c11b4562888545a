"""A LAN of our own: machines in network namespaces, veth pairs and a bridge; or all of them on loopback.

A machine's processes, and sockets made while one is `inside` it, see only its network. Nothing of the
real network is touched: the bridge has a namespace, too.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jota_core.testing import free_port

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
HERE = Path("/proc/thread-self/ns/net")
NET = "10.213.77"
SWITCH = "switch"


def ip(*arguments: str) -> None:
    """Run iproute2's `ip`. Raises `CalledProcessError`."""
    command = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin") or "ip"
    subprocess.run([command, *arguments], check=True, capture_output=True, text=True, timeout=20)


@dataclass
class Machine:
    """One machine of the LAN."""

    name: str
    address: str
    namespace: str = ""
    """Empty on loopback, where only ports tell machines apart."""
    ports: dict[int, int] = field(default_factory=dict)

    def port(self, usual: int) -> int:
        """The usual port; a free one on loopback, always the same."""
        if self.namespace:
            return usual
        return self.ports.setdefault(usual, free_port())

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread, and what it starts and opens, is on this machine."""
        if not self.namespace:
            yield
            return
        with HERE.open("rb") as home, Path("/run/netns", self.namespace).open("rb") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())


def _enter(namespace: int) -> None:
    if LIBC.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Loopback:
    """All machines on 127.0.0.1."""

    kind = "loopback"

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}

    def add(self, name: str) -> Machine:
        """A machine more."""
        return self.machines.setdefault(name, Machine(name, "127.0.0.1"))

    def close(self) -> None:
        """Nothing was made."""


DOCKER, INNER = "docker0", "172.17.0.1"


class Namespaces:
    """Machines with an `eth0` each, on one bridge, and a `docker0` of the same address, as Docker does."""

    kind = "namespaces"

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}
        self._prefix = f"jota{os.getpid()}"
        self._made: list[str] = []
        self._next = 10
        try:
            self._namespace(SWITCH)
            self._in(SWITCH, "link", "add", "lan", "type", "bridge", "mcast_snooping", "0")
            self._in(SWITCH, "link", "set", "lan", "up")
        except BaseException:
            self.close()
            raise

    def add(self, name: str) -> Machine:
        """A machine more, connected."""
        if name in self.machines:
            return self.machines[name]
        machine = self._machine(name)
        cable = f"to-{name}"[:15]
        self._in(
            SWITCH, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", machine.namespace
        )
        self._in(SWITCH, "link", "set", cable, "up", "master", "lan")
        self._start(machine)
        return machine

    def add_bad(self, name: str, tap: Callable[[str], int]) -> tuple[int, int]:
        """A machine more, whose frames somebody has to carry between two files: its own and the bridge's."""
        machine, switch = self._machine(name), Machine(SWITCH, "", f"{self._prefix}-{SWITCH}")
        with machine.inside():
            near = tap("eth0")
        with switch.inside():
            far = tap(f"to-{name}"[:15])
        self._in(SWITCH, "link", "set", f"to-{name}"[:15], "up", "master", "lan")
        self._start(machine)
        return near, far

    def _machine(self, name: str) -> Machine:
        self._namespace(name)
        return Machine(name, self._address(), f"{self._prefix}-{name}")

    def _start(self, machine: Machine) -> None:
        self._in(machine.name, "link", "set", "lo", "up")
        self._in(machine.name, "link", "set", "eth0", "up")
        self._in(machine.name, "link", "add", DOCKER, "up", "type", "bridge")
        self._in(machine.name, "addr", "add", f"{INNER}/16", "dev", DOCKER)
        self._give(machine)
        self.machines[machine.name] = machine

    def cut(self, name: str) -> None:
        """Pull the cable."""
        self._in(SWITCH, "link", "set", f"to-{name}"[:15], "down")

    def join(self, name: str) -> None:
        """Put it back."""
        self._in(SWITCH, "link", "set", f"to-{name}"[:15], "up")

    def move(self, name: str) -> str:
        """Another address for a machine, as a router may give it one."""
        machine = self.machines[name]
        self._in(name, "addr", "del", f"{machine.address}/24", "dev", "eth0")
        machine.address = self._address()
        self._give(machine)
        return machine.address

    def close(self) -> None:
        """Nothing is left."""
        for name in reversed(self._made):
            ip("netns", "del", f"{self._prefix}-{name}")
        self._made.clear()

    def _give(self, machine: Machine) -> None:
        self._in(machine.name, "addr", "add", f"{machine.address}/24", "dev", "eth0")
        self._in(machine.name, "route", "replace", "default", "dev", "eth0")

    def _address(self) -> str:
        self._next += 1
        return f"{NET}.{self._next}"

    def _namespace(self, name: str) -> None:
        ip("netns", "add", f"{self._prefix}-{name}")
        self._made.append(name)

    def _in(self, name: str, *arguments: str) -> None:
        ip("-n", f"{self._prefix}-{name}", *arguments)


Network = Loopback | Namespaces


def why_not() -> str:
    """Why there can be no namespaces here; empty when there can."""
    if not HERE.exists():
        return "this system has no network namespaces"
    try:
        Namespaces().close()
    except FileNotFoundError:
        return "`ip` is not installed (Debian, Ubuntu: sudo apt install iproute2)"
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not permitted ({error.stderr.strip() or error})"
    return ""
