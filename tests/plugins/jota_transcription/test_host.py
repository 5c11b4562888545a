"""A real process that is only ears, from the deployment that people copy."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from jota_core.testing import free_port
from jota_whisper.models import WhisperShelf

from .conftest import silent

ROOT = Path(__file__).parents[3]
TOKEN = "a-token-of-the-test"


def started(folder: Path, port: int) -> subprocess.Popen[str]:
    shutil.copy(ROOT / "config" / "transcription.yaml", folder / "jota.yaml")
    (folder / ".env").write_text(f"AUTH_TOKEN={TOKEN}\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JOTA")}
    command = [sys.executable, "-m", "jota_core.cli", "run", "--set", f"plugins.door.listen=0.0.0.0:{port}"]
    return subprocess.Popen(command, cwd=folder, env=clean, stderr=subprocess.PIPE, text=True)


def until_ready(host: subprocess.Popen[str]) -> list[str]:
    assert host.stderr is not None
    lines = []
    for line in host.stderr:
        lines.append(line)
        if "Jota is ready" in line:
            return lines
    raise AssertionError("".join(lines))


async def posted(port: int) -> tuple[int, str]:
    form = aiohttp.FormData({"model": "whisper-1"})
    form.add_field("file", (ROOT / "tests/speech/es-locked.flac").read_bytes(), filename="x.flac")
    url, headers = f"http://127.0.0.1:{port}/v1/audio/transcriptions", {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession() as http, http.post(url, data=form, headers=headers) as answer:
        return answer.status, await answer.text()


@contextmanager
def ears(folder: Path, port: int) -> Iterator[list[str]]:
    """What it says until it is ready."""
    host = started(folder, port)
    try:
        yield until_ready(host)
    finally:
        host.terminate()
        host.communicate(timeout=20)


async def test_without_a_model_it_says_what_to_do(tmp_path: Path) -> None:
    with ears(tmp_path, port := free_port()) as said:
        status, text = await posted(port)
    assert status == 503 and "jota doctor" in text
    assert any("jota models pull whisper-base" in line for line in said) and "not yet: ears" in said[-1]


@pytest.mark.model
async def test_with_its_model_it_hears(tmp_path: Path) -> None:
    WhisperShelf().pull("whisper-base", tmp_path / "data", silent)
    with ears(tmp_path, port := free_port()):
        async with asyncio.timeout(60), aiohttp.ClientSession() as http:
            while (await http.get(f"http://127.0.0.1:{port}/ready")).status == 503:
                await asyncio.sleep(0.05)
        status, text = await posted(port)
    assert status == 200 and "bloqueada" in text
