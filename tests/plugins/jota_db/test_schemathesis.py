"""schemathesis reads the OpenAPI document and sends what it allows and what it does not: never a 500."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = 12
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.parametrize("kind", ["client", "admin"])
async def test_no_request_breaks_it(rest: Any, tmp_path: Path, kind: str) -> None:
    key = await rest.add("salon")
    shown = key if kind == "client" else await rest.add("root", kind)
    talk = await rest.store.open_conversation("salon")
    assert talk.id == 1
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{rest.base}/openapi.json",
        "--checks", CHECKS, "--max-examples", str(EXAMPLES), "--phases", "examples,coverage,fuzzing",
        "--seed", "4711", "--workers", "1", "--request-timeout", "10", "--no-color", "--generation-with-security-parameters", "false",
        "--header", "Authorization: Bearer bearer-of-the-test-0123456789",
        "--header", f"X-API-Key: {shown}", "--header", "X-Client-ID: salon",
    ]  # fmt: skip
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    failures = done.stdout.partition("= FAILURES =")[2].partition("WARNINGS")[0]
    assert done.returncode == 0, failures or done.stdout + done.stderr
