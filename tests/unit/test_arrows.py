"""The arrows between rooms: who may import whom. The rule is in docs/explanation/the-house.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STANDARD = ("jota_core.api",)
ROOMS: dict[str, tuple[str, ...]] = {
    "jota_core/api": (),
    "jota_core/config": STANDARD,
    "jota_core/fetching": (),
    "jota_core/hosting": (*STANDARD, "jota_core.config"),
    "jota_core/runtime": STANDARD,
    "jota_core/scaffold": (),
    "jota_core/workers": (*STANDARD, "jota_core.config", "jota_core.hosting"),
    "jota_core/testing": (*STANDARD, "jota_core.config", "jota_core.hosting", "jota_core.host"),
    "jota_core/cli": (
        *STANDARD,
        "jota_core.config",
        "jota_core.hosting",
        "jota_core.host",
        "jota_core.scaffold",
        "jota_core.workers",
    ),
    **{
        f"plugins/{folder.name}": (*STANDARD, "jota_core.fetching")
        for folder in sorted((ROOT / "plugins").glob("jota_*"))
    },
}
"""For each room, what of ours it may import besides itself."""
OUTSIDE = {
    "jota_core/api": {"pydantic", "pluggy"},
    "jota_core/runtime": {"jsonschema", "numpy", "soxr"},
}
"""For rooms that stay small: the libraries they may import at all."""


def imports(file: Path) -> Iterator[str]:
    """Absolute names of the modules that a file imports, wherever the line stands."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolved(node, file)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def resolved(node: ast.ImportFrom, file: Path) -> str:
    """`from ..runtime import x` in a file of jota_core/hosting is jota_core.runtime."""
    if not node.level:
        return node.module or ""
    parts = file.relative_to(ROOT).parts
    package = parts[int(parts[0] == "plugins") : len(parts) - node.level]
    return ".".join((*package, node.module) if node.module else package)


def is_below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_point_the_right_way(room: str) -> None:
    own = room.removeprefix("plugins/").replace("/", ".")
    allowed = (own, *ROOMS[room])
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in sorted((ROOT / room).rglob("*.py"))
        if "templates" not in file.parts
        for name in imports(file)
        if name.startswith("jota_")
        and not any(is_below(name, package) for package in allowed)
        and name not in ("jota_core", "jota_core.__version__")
    ]
    assert not wrong


@pytest.mark.parametrize("room", OUTSIDE)
def test_small_rooms_need_few_libraries(room: str) -> None:
    import sys

    found = {name.partition(".")[0] for file in (ROOT / room).rglob("*.py") for name in imports(file)}
    assert {name for name in found if name not in sys.stdlib_module_names and name != "jota_core"} <= OUTSIDE[
        room
    ]


def test_nobody_imports_plugins_by_name() -> None:
    plugins = {folder.name for folder in (ROOT / "plugins").glob("jota_*")}
    for file in (ROOT / "jota_core").rglob("*.py"):
        if "templates" not in file.parts:
            assert not {name.partition(".")[0] for name in imports(file)} & plugins, file
