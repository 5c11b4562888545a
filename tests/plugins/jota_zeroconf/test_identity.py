"""The id of a data folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jota_zeroconf.identity import own_id

FULL = """
import resource
from pathlib import Path
from jota_zeroconf.identity import own_id

resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # as on a disk that is full
own_id(Path("lan-id"))
"""


def test_it_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / "lan-id"
    assert own_id(file) == own_id(file) == file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_it_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL], cwd=tmp_path, capture_output=True, text=True)
    assert "File too large" in done.stderr
    assert not (tmp_path / "lan-id").exists()
    assert len(own_id(tmp_path / "lan-id")) == 16


def test_one_that_is_none_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "lan-id"
    file.write_text("0123")
    assert own_id(file) != "0123"
    assert f"{file} holds no id" in caplog.text
