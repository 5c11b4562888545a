"""The real model: through a host and through a center against the engine alone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from ..client import Client
from ..direct import Engine
from ..harness import Figure, Scale, interleaved, ratio
from ..process import JOTA, Server, free_port, host
from ..through import Center

TOGETHER = 8
TOKENS = 64
RATIO = 0.95
CENTER_RATIO = 0.97
REAL = "{plugin: jota_llama, context: 1024, parallel: 8}"
ADDED_MS = 5.0
STORY = "Tell me a very long story about a boiler, a cat and a lighthouse."


def engine(scale: Scale) -> Iterator[Figure]:
    """Eight real generations at once against the engine alone, and the first token of a real answer."""
    data = scale.folder / "data"
    subprocess.run([JOTA, "models", "pull", "starter", "--data", data], check=True, timeout=900)
    with host(scale.folder, "real.yaml") as full:
        full.ready(120)
        yield _throughput(scale, full, Engine(_socket(data)))
    with host(scale.folder, "real.yaml", settings={"plugins.llm.parallel": 1}) as full:
        full.ready(120)
        yield _first_token(scale, full, Engine(_socket(data)))

    port = free_port()
    through = {"plugins.llm": REAL, "plugins.center.listen": f"127.0.0.1:{port}"}
    with host(scale.folder, "center.yaml", settings=through) as full:
        full.ready(120)
        for count in (1, 4, 8):
            yield _center(scale, Center(port), Engine(_socket(data)), count)


def _center(scale: Scale, center: Center, alone: Engine, count: int) -> Figure:
    texts = [STORY] * count
    center.together(texts, TOKENS)
    measures = {
        "center tokens/s": lambda: center.together(texts, TOKENS),
        "engine tokens/s": lambda: alone.together(texts, TOKENS),
    }
    raw = interleaved(measures, scale.of(7, 3))
    value = ratio(raw, "center tokens/s", "engine tokens/s")
    name = f"{count} real generations at once: through a center / engine alone"
    return Figure(name, value, at_least=CENTER_RATIO, raw=raw)


def _socket(data: Path) -> Path:
    """Where the engine of a running host listens."""
    (found,) = (data / "run").glob("*.sock")
    return found


def _throughput(scale: Scale, full: Server, alone: Engine) -> Figure:
    def by_host() -> float:
        with Client() as client:  # new apps, new conversations: nothing of the last round is warm
            client.do("connect", port=full.port, count=TOGETHER)
            answer = client.do("ask", prompt=STORY)
        if answer["ended"] != TOGETHER:
            raise RuntimeError(f"{answer['failed']} of {TOGETHER} answers failed.")
        return float(answer["tokens"] / answer["seconds"])

    by_host()
    measures = {
        "host tokens/s": by_host,
        "engine tokens/s": lambda: alone.together([STORY] * TOGETHER, TOKENS),
    }
    raw = interleaved(measures, scale.of(5, 2))
    value = ratio(raw, "host tokens/s", "engine tokens/s")
    name = f"{TOGETHER} real generations at once: host / engine alone"
    return Figure(name, value, at_least=RATIO, raw=raw)


def _first_token(scale: Scale, full: Server, alone: Engine) -> Figure:
    """The same warm prompt each time, so that the engine's own share is small and steady."""

    def by_host() -> float:
        with Client() as client:
            waits = []
            for _ in range(1 + samples):
                client.do("connect", port=full.port, count=1)
                waits += client.do("ask", prompt=STORY)["waits_ms"]
                client.do("close")
        return float(median(waits[1:]))

    def by_engine() -> float:
        return float(median([alone.first_token_ms(STORY, TOKENS) for _ in range(1 + samples)][1:]))

    samples = scale.of(6, 3)
    raw = interleaved({"host ms": by_host, "engine ms": by_engine}, scale.of(4, 2))
    added = median(a - b for a, b in zip(raw["host ms"], raw["engine ms"], strict=True))
    return Figure("First token added, real model, p50", added, "ms", at_most=ADDED_MS, raw=raw)
