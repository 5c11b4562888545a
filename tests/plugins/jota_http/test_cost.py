"""What the door costs before it is used."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, time
import jota_core.api
began = time.perf_counter()
import jota_http
print((time.perf_counter() - began) * 1000, *sorted({"aiohttp", "websockets", "rich", "typer"} & set(sys.modules)))
"""


def test_import_is_light() -> None:
    runs = [subprocess.check_output([sys.executable, "-c", PROGRAM], text=True).split() for _ in range(3)]
    assert all(len(run) == 1 for run in runs), runs
    assert min(float(run[0]) for run in runs) < 30
