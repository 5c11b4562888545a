"""Finds plugin classes: by entry point, or in a single file next to `jota.yaml`."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from jota_core.api import Plugin, Settings
from jota_core.config import BrokenPlugin, LeftOut, UnknownPlugin

from .hookcheck import check
from .verdicts import describe

GROUP = "jota.plugins"
_OWN_DISTRIBUTION = "jota"


class Finder:
    """Knows the installed plugins by name; imports only those that are asked for."""

    def __init__(self, *, safe: bool = False) -> None:
        self._safe = safe

    @cached_property
    def _entries(self) -> dict[str, EntryPoint]:
        # Our own names come last, so that nobody else's package can take their place.
        found = sorted(entry_points(group=GROUP), key=_is_own)
        return {entry.name: entry for entry in found}

    def names(self) -> tuple[str, ...]:
        """Every installed plugin."""
        return tuple(sorted(self._entries))

    def is_built_in(self, name: str) -> bool:
        """Whether the plugin comes with Jota."""
        return name in self._entries and _is_own(self._entries[name])

    def plugin_class(self, name: str, folder: Path) -> type[Plugin[Any]]:
        """The class behind an entry-point name, or in the file `name` below `folder`.

        Raises `UnknownPlugin`, `BrokenPlugin` (its code is wrong; the sentence says where) or
        `LeftOut` (safe mode loads only what comes with Jota).
        """
        is_file = name.endswith(".py")
        if self._safe and not self.is_built_in(name) and (is_file or name in self._entries):
            raise LeftOut(name)
        if is_file:
            return self._from_file(name, (folder / name).resolve())
        if name not in self._entries:
            raise UnknownPlugin(name, self.names())
        found = _imported(name, self._entries[name].load)
        if not (isinstance(found, type) and issubclass(found, Plugin)):
            raise BrokenPlugin(name, f"The entry point of {name!r} is not a class derived from Plugin.")
        return _checked(name, found)

    def _from_file(self, name: str, file: Path) -> type[Plugin[Any]]:
        if not file.is_file():
            near = sorted(f"./{other.name}" for other in file.parent.glob("*.py"))
            raise UnknownPlugin(name, near, f"there is no file {file}")
        module = _imported(name, lambda: _load_file(file))
        classes = [value for value in vars(module).values() if _is_plugin_of(value, module)]
        if len(classes) != 1:
            found = ", ".join(each.__name__ for each in classes) or "none"
            raise BrokenPlugin(name, f"{name} must define one class derived from Plugin; found: {found}.")
        return _checked(name, classes[0])


def _is_own(entry: EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name == _OWN_DISTRIBUTION


def _is_plugin_of(value: object, module: ModuleType) -> bool:
    return isinstance(value, type) and issubclass(value, Plugin) and value.__module__ == module.__name__


def _load_file(file: Path) -> ModuleType:
    # Two files of one name in two folders are two modules.
    digest = hashlib.sha256(str(file).encode()).hexdigest()[:8]
    name = f"jota_file_{file.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _imported(name: str, load: Callable[[], Any]) -> Any:
    """Import a stranger's code: whatever it raises, `SystemExit` too, is its own problem."""
    try:
        return load()
    except BaseException as error:
        raise BrokenPlugin(name, f"Importing {name} failed{_where(error)}: {describe(error)}.") from error


def _where(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f" at {error.filename}:{error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _checked(name: str, found: type[Plugin[Any]]) -> type[Plugin[Any]]:
    if not (isinstance(found.Settings, type) and issubclass(found.Settings, Settings)):
        raise BrokenPlugin(name, f"{found.__name__}.Settings must be a class derived from Settings.")
    if problem := check(found):
        raise BrokenPlugin(name, f"{found.__name__}: {problem}")
    return found
