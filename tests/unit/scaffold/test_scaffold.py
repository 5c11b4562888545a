"""A new plugin passes ruff, mypy and its own tests at once, whatever its kind and name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jota_core.scaffold import KINDS, Kind, Names, ScaffoldError, create

LONG = "a-name-of-thirty-chars-exactly"


@pytest.mark.parametrize(
    ("kind", "name"), list(zip(KINDS, ["dice", LONG, "tea_door", "Jota-Attic"], strict=True))
)
def test_a_new_package_passes_every_check_at_once(tmp_path: Path, kind: Kind, name: str) -> None:
    files = create(name, kind, tmp_path)
    root = tmp_path / Names.of(name).distribution
    assert {file.name for file in files} >= {"pyproject.toml", "README.md", "__init__.py", "py.typed"}
    assert all(file.is_relative_to(root) for file in files)
    for tool in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"], ["pytest", "-q"]):
        done = subprocess.run(
            [sys.executable, "-m", *tool], cwd=root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{tool}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize(
    "name", ["", "9lives", "tea kettle", "tea--kettle", "-tea", "té", "../../etc/x", "a" * 31, "jota-", "a\n"]
)
def test_names_that_no_package_can_have_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ScaffoldError, match="cannot be a plugin's name"):
        create(name, "tool", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_an_installed_plugin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScaffoldError, match="jota_echo is installed already"):
        create("echo", "backend", tmp_path)


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScaffoldError, match="tool, backend, transport, memory"):
        create("kettle", "teapot", tmp_path)  # type: ignore[arg-type]  # what a user may type


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    create("kettle", "tool", tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(ScaffoldError, match="is there already"):
        create("jota_kettle", "memory", tmp_path)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ScaffoldError, match="could not be written"):
        create("kettle", "tool", tmp_path / "file")
