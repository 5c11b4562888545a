"""The child process: llama.cpp's server on a UNIX socket. Run as a file, it imports nothing of ours.

A crash of native code, or the kernel when memory runs out, ends this process and not the host.
Its standard input carries one line of JSON and then stays open: when the host is gone, it closes
and the process ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

HTTP_THREADS_SPARE = 8
"""For questions (health, slots, tokens) beside the generations, which hold a thread each."""
QUIET = 2
"""llama.cpp's verbosity: warnings and errors."""


def main() -> None:
    """Serve until the host goes away."""
    plan = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_host, daemon=True).start()
    import xllamacpp

    try:
        server = xllamacpp.Server(_parameters(xllamacpp.CommonParams(), plan))
    except RuntimeError as error:
        sys.exit(f"llama.cpp did not start: {error}")
    while server.listening_address:  # it serves in threads of its own for as long as it is referenced
        time.sleep(3600)


def _parameters(params: Any, plan: dict[str, Any]) -> Any:
    params.model.path = plan["model"]
    params.hostnames = [plan["socket"]]
    params.n_parallel = plan["parallel"]
    params.n_ctx = plan["context"] * plan["parallel"]
    params.cpuparams.n_threads = plan["threads"]
    params.cpuparams_batch.n_threads = plan["batch_threads"]
    # A step of evaluation cannot be interrupted, so its size is what an abort waits for.
    params.n_batch = params.n_ubatch = plan["prompt_batch"]
    params.cache_ram_mib = plan["cache_mb"]
    # A prompt that starts like another (all do, with one system prompt) must not take over its slot:
    # we pin conversations to slots ourselves, and what a slot loses goes to the cache.
    params.slot_prompt_similarity = 0.0
    params.n_threads_http = plan["parallel"] + HTTP_THREADS_SPARE
    params.ui = False
    params.verbosity = QUIET
    return params


def _end_with_host() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
