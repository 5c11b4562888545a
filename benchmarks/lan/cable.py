"""A bad cable: frames between a machine and the bridge come late, and some never; needs no `netem`."""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import struct
import threading
import time
from types import TracebackType
from typing import Self

from .network import Namespaces

TUNSETIFF = 0x400454CA
TAP, NO_INFO = 0x0002, 0x1000
LONGEST = 65_536


def tap(name: str) -> int:
    """A new Ethernet device in this thread's network; its frames go through the file. Raises `OSError`."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), TAP | NO_INFO))
    except OSError:
        os.close(device)
        raise
    return device


def why_no_tap() -> str:
    """Why there can be no bad cable here; empty when there can."""
    try:
        os.close(tap("jota-try"))
    except OSError as error:
        return f"/dev/net/tun: {error.strerror}"
    return ""


class BadCable:
    """Stands in for the veth pair of a machine that is added now; chance is the same in every run."""

    def __init__(self, network: Namespaces, name: str, *, delay_s: float, loses: float) -> None:
        self._delay_s = delay_s
        self._loses = loses
        self._chance = random.Random(4711)
        self._over = threading.Event()
        self._ends = network.add_bad(name, tap)
        self._thread = threading.Thread(target=self._carry, name=f"cable to {name}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(10)
        for end in self._ends:
            os.close(end)

    def _carry(self) -> None:
        near, far = self._ends
        under_way: list[tuple[float, int, int, bytes]] = []
        count = 0
        while not self._over.is_set():
            wait_s = max(0.0, min(0.1, under_way[0][0] - time.monotonic())) if under_way else 0.1
            for end in select.select([near, far], [], [], wait_s)[0]:
                frame = _read(end)
                if frame and self._chance.random() >= self._loses:
                    count += 1
                    to = far if end == near else near
                    heapq.heappush(under_way, (time.monotonic() + self._delay_s, count, to, frame))
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, to, frame = heapq.heappop(under_way)
                _write(to, frame)


def _read(end: int) -> bytes:
    try:
        return os.read(end, LONGEST)
    except OSError:
        return b""  # the device is down just now


def _write(end: int, frame: bytes) -> None:
    try:
        os.write(end, frame)
    except OSError:
        pass  # as a cable does whose other end is not plugged in
