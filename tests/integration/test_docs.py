"""The documentation does what it says: the tutorial is carried out, and every link leads somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jota_core.testing import free_port

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs/tutorial/first-plugin.md"
PORT = "8080"
"""What the tutorial writes; the test takes a free one."""
BLOCK = re.compile(r'^```(\w+)(?: title="([\w.]+)"| (background))?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)")
ANYTHING = "…"


@dataclass
class Reader:
    """Somebody who does what a page says, in a folder of their own."""

    folder: Path
    environ: dict[str, str]
    running: list[subprocess.Popen[str]]

    def follow(self, text: str) -> None:
        for kind, title, background, body in BLOCK.findall(text):
            if title:
                (self.folder / title).write_text(body)
            elif kind == "console":
                self._type(body, in_background=bool(background))

    def _type(self, body: str, *, in_background: bool) -> None:
        command, _, expected = body.removeprefix("$ ").partition("\n")
        if in_background:
            self.running.append(self._start(f"exec {command}"))
            self._wait_for_ready()
            return
        said, _ = self._start(command).communicate(timeout=120)
        pattern = ".*".join(re.escape(part) for part in expected.strip().split(ANYTHING))
        assert re.fullmatch(pattern, said.strip(), re.DOTALL), f"$ {command}\n{said}"

    def _start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, shell=True, cwd=self.folder, env=self.environ, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def _wait_for_ready(self) -> None:
        (host,) = self.running
        assert host.stdout is not None
        for line in host.stdout:
            if "Jota is ready" in line:
                return
        raise AssertionError("The host ended before it was ready.")


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("JOTA", "PYTEST"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
    reader = Reader(tmp_path, {**clean, "PATH": path, "COLUMNS": "100"}, [])
    yield reader
    for host in reader.running:
        host.terminate()
        host.communicate(timeout=20)


def test_the_tutorial_works_as_it_is_written(reader: Reader) -> None:
    reader.follow(TUTORIAL.read_text().replace(PORT, str(free_port())))
    assert reader.running, "the tutorial runs a host"
    began = time.monotonic()
    reader.running[0].terminate()
    assert reader.running[0].wait(10) == 0, "and it ends well"
    assert time.monotonic() - began < 10


def test_every_link_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in pages for link in LINK.findall(page.read_text())]
    assert len(links) > 20
    lost = [f"{page.relative_to(ROOT)}: {link}" for page, link in links
            if "://" not in link and not (page.parent / link).exists()]  # fmt: skip
    assert not lost


def test_both_readmes_give_the_same_commands() -> None:
    def commands(name: str) -> list[str]:
        lines = (ROOT / name).read_text().splitlines()
        return [line.partition("  #")[0].strip() for line in lines if line.startswith("    ")]

    assert commands("README.md") == commands("README.es.md")
