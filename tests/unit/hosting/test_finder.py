"""Finding plugins: entry points, single files, safe mode; strangers' mistakes become sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from jota_core.api import Plugin
from jota_core.config import BrokenPlugin, LeftOut, UnknownPlugin
from jota_core.hosting import Finder

KETTLE = """
from jota_core.api import Plugin, Settings, hookimpl

class Kettle(Plugin[Settings]):
    @hookimpl
    async def jota_started(self): ...
"""


def distribution(folder: Path, name: str, entries: dict[str, str]) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = "\n".join(f"{key} = {value}" for key, value in entries.items())
    (info / "entry_points.txt").write_text(f"[jota.plugins]\n{lines}\n")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    (folder / "acme_kettle_for_test.py").write_text(KETTLE)
    distribution(folder, "acme-kettle", {"acme": "acme_kettle_for_test:Kettle", "jota_echo": "evil:Evil"})
    distribution(folder, "jota", {"jota_echo": "acme_kettle_for_test:Kettle"})
    return folder


def test_an_installed_plugin_is_found_by_its_entry_point(installed: Path, tmp_path: Path) -> None:
    found = Finder().plugin_class("acme", tmp_path)
    assert issubclass(found, Plugin)
    assert found.__name__ == "Kettle"
    assert {"acme", "jota_echo"} <= set(Finder().names())


def test_nobody_takes_the_name_of_a_built_in(installed: Path, tmp_path: Path) -> None:
    assert Finder().plugin_class("jota_echo", tmp_path).__name__ == "Kettle"
    assert Finder().is_built_in("jota_echo")
    assert not Finder().is_built_in("acme")


def test_an_unknown_name_is_answered_with_the_nearest(installed: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownPlugin, match="acme"):
        Finder().plugin_class("acmee", tmp_path)


def test_a_single_file_is_a_plugin(tmp_path: Path) -> None:
    (tmp_path / "kettle.py").write_text(KETTLE)
    found = Finder().plugin_class("./kettle.py", tmp_path)
    assert found.__name__ == "Kettle"
    assert Finder().plugin_class("kettle.py", tmp_path) is found
    with pytest.raises(UnknownPlugin, match=r"there is no file .*pot\.py"):
        Finder().plugin_class("./pot.py", tmp_path)


def test_safe_mode_leaves_strangers_out(installed: Path, tmp_path: Path) -> None:
    finder = Finder(safe=True)
    (tmp_path / "bomb.py").write_text("raise SystemExit")
    assert finder.plugin_class("jota_echo", tmp_path)
    for stranger in ("acme", "./bomb.py"):
        with pytest.raises(LeftOut):
            finder.plugin_class(stranger, tmp_path)
    with pytest.raises(UnknownPlugin):
        finder.plugin_class("nobody", tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import sys; sys.exit(4)", r"bad\.py:1: it called exit \(4\)"),
        ("raise KeyboardInterrupt", r"bad\.py:1: KeyboardInterrupt"),
        ("\nimport no_such_module_at_all", r"bad\.py:2: ModuleNotFoundError"),
        ("def f(:", r"bad\.py:1: SyntaxError"),
        ("x = 1", "must define one class derived from Plugin; found: none"),
        (KETTLE + "\nclass Pot(Plugin[Settings]): ...", "found: Kettle, Pot"),
        (KETTLE.replace("jota_started", "jota_startd"), r"not a hook \(did you mean jota_started\?\)"),
        (KETTLE.replace("@hookimpl", ""), "jota_started is not marked with @hookimpl"),
        (KETTLE.replace("(self)", "(self, when)"), "asks for an argument 'when'"),
        (KETTLE.replace("jota_started", "jota_tools"), "must be a plain function"),
        (KETTLE.replace("@hookimpl", "@hookimpl(wrapper=True)").replace("...", "yield"), "is a wrapper"),
        (KETTLE + "    Settings = 3", "Kettle.Settings must be a class derived from Settings"),
    ],
)  # fmt: skip
def test_mistakes_become_sentences(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(BrokenPlugin, match=sentence) as caught:
        Finder().plugin_class("./bad.py", tmp_path)
    assert "Traceback" not in caught.value.sentence


def test_an_entry_point_to_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    distribution(tmp_path, "acme-odd", {"odd": "json:dumps", "lost": "no_such_module_at_all:X"})
    with pytest.raises(BrokenPlugin, match="not a class derived from Plugin"):
        Finder().plugin_class("odd", tmp_path)
    with pytest.raises(BrokenPlugin, match="ModuleNotFoundError"):
        Finder().plugin_class("lost", tmp_path)
