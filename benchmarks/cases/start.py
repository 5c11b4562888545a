"""How soon it is there, and how little it needs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from ..harness import Figure, Scale
from ..process import JOTA, KEY, SITE, host

CHECK_S = 0.6
READY_S = 1.0
IDLE_MB = 60.0


def start(scale: Scale) -> Iterator[Figure]:
    """`jota check`, time until ready and memory when idle, all without a model."""
    rounds = scale.of(7, 3)
    checks = [_check() for _ in range(rounds)]
    yield Figure("jota check", median(checks), "s", at_most=CHECK_S, raw={"s": checks})
    seconds, megabytes = zip(*(_ready(scale.folder / str(index)) for index in range(rounds)), strict=True)
    yield Figure("Ready without a model", median(seconds), "s", at_most=READY_S, raw={"s": seconds})
    yield Figure(
        "Idle memory without a model", median(megabytes), "MB", at_most=IDLE_MB, raw={"MB": megabytes}
    )


def _check() -> float:
    began = time.monotonic()
    subprocess.run(
        [JOTA, "check", "-c", SITE / "bench.yaml"], check=True, timeout=30,
        env={**os.environ, "JOTA_BENCH_KEY": KEY}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return time.monotonic() - began


def _ready(folder: Path) -> tuple[float, float]:
    """The second start is measured; the first one makes the database."""
    with host(folder) as server:
        server.ready()
    with host(folder) as server:
        seconds = server.ready()
        time.sleep(0.5)
        return seconds, server.rss_bytes() / 1e6
