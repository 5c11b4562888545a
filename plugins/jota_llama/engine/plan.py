"""Planning an engine: threads, batch and memory for one model on this machine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from jota_core.api import NotReady

from ..models.gguf import Head
from ..settings import LlamaSettings

OVERHEAD = 150_000_000
"""Bytes for the process itself and llama.cpp's working buffers, measured with small models."""
CPUINFO = Path("/proc/cpuinfo")
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Plan:
    """What the child process is told; see `child.py`."""

    model: str
    parallel: int
    context: int
    """Tokens of one slot."""
    threads: int
    batch_threads: int
    prompt_batch: int
    cache_mb: int


def plan(path: Path, head: Head, settings: LlamaSettings) -> Plan:
    """The plan for a model. Raises `NotReady` when it does not fit into memory."""
    context = min(settings.context, head.context or settings.context)
    _fit(path, head, context * settings.parallel, settings.cache_mb)
    cores = physical_cores()
    return Plan(
        model=str(path),
        parallel=settings.parallel,
        context=context,
        threads=settings.threads or max(1, cores - 1),
        # Threads wait for each other busily: one too many, and a busy machine reads prompts ten times slower
        batch_threads=settings.batch_threads or max(1, cores - 1),
        prompt_batch=settings.prompt_batch or max(8 * cores, 2 * settings.parallel),
        cache_mb=settings.cache_mb,
    )


def physical_cores() -> int:
    """Cores that this process may use; two threads of one core count once, since they help little."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return max(1, len(allowed) // 2)
    cores = set()
    for block in text.split("\n\n"):
        facts = dict(re.findall(r"^(processor|physical id|core id)\s*:\s*(\d+)", block, re.MULTILINE))
        if facts and int(facts["processor"]) in allowed:
            cores.add((facts.get("physical id"), facts.get("core id", facts["processor"])))
    return max(1, len(cores) or len(allowed))


def free_memory() -> int | None:
    """Bytes that can be had without pushing others out; None when the system does not tell."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", MEMINFO.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    free = [int(found[1]) * 1024] if found else []
    try:
        limit = (CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = (CGROUP / "memory.current").read_text(encoding="ascii")
        free += [int(limit) - int(used)] if limit.isdigit() else []
    except (OSError, ValueError):
        pass  # no container, or one that does not limit memory
    return min(free, default=None)


def _fit(path: Path, head: Head, tokens: int, cache_mb: int) -> None:
    need = head.size + head.kv_bytes_per_token * tokens + cache_mb * 1_000_000 + OVERHEAD
    free = free_memory()
    if free is not None and need > free:
        raise NotReady(
            f"The model {path.name} needs about {need / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are "
            "free. Choose a smaller one (`jota models list`), lower `context` or `parallel`, or free memory."
        )
