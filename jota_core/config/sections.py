"""The sections below `plugins:`: which plugin each one is, and its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from jota_core.api import Plugin, Settings, State

from .problems import BrokenPlugin, LeftOut, Place, UnknownPlugin, nearest
from .sentences import blame
from .tree import Path_, Tree

PluginClass = type[Plugin[Any]]
Find = Callable[[str, Path], PluginClass]
S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class SectionConfig:
    """One section below `plugins:`.

    `state` is `loaded`, `failed` (its code could not be imported, or broke over its settings) or `stopped`
    (left out by safe mode); `detail` says why it is not loaded.
    """

    name: str
    plugin: str
    place: Place
    plugin_class: PluginClass | None = None
    settings: Settings | None = None
    required: bool = False
    state: State = State.LOADED
    detail: str = ""


def validated(document: Tree, path: Path_, model: type[S], value: Any) -> S | None:
    """The settings at `path`; None after blaming whatever is wrong with them."""
    value = {} if value is None else value
    if not isinstance(value, dict):
        document.blame(path, "must be a mapping of settings (`key: value`)")
        return None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        blame(document, path, error, model)
        return None


def sections(document: Tree, folder: Path, find: Find) -> tuple[SectionConfig, ...]:
    """Every section in the order of the file."""
    raw = document.value.get("plugins")
    if not isinstance(raw, dict) or not raw:
        document.blame(("plugins",), "names no plugin; a host needs at least one section below it")
        return ()
    found = (_section(document, name, value, folder, find) for name, value in raw.items())
    return tuple(section for section in found if section is not None)


def _section(document: Tree, name: str, raw: Any, folder: Path, find: Find) -> SectionConfig | None:
    path: Path_ = ("plugins", name)
    if not isinstance(raw, dict) or not isinstance(raw.get("plugin"), str):
        document.blame(path, "needs a line `plugin: NAME` that says which plugin it is")
        return None
    required = raw.get("required", False)
    if not isinstance(required, bool):
        document.blame((*path, "required"), "must be true or false")
        required = False
    section = SectionConfig(name, raw["plugin"], document.place(path), required=required)
    try:
        section = replace(section, plugin_class=find(section.plugin, folder))
    except (UnknownPlugin, OSError, ValueError) as error:
        document.blame((*path, "plugin"), getattr(error, "sentence", "") or f"cannot be found: {error}")
        return None
    except BrokenPlugin as error:
        return replace(section, state=State.FAILED, detail=error.sentence)
    except LeftOut:
        return replace(section, required=False, state=State.STOPPED, detail="left out by safe mode")
    return _with_settings(document, section, raw)


def _with_settings(document: Tree, section: SectionConfig, raw: dict[str, Any]) -> SectionConfig:
    assert section.plugin_class is not None
    own = {key: value for key, value in raw.items() if key not in ("plugin", "required")}
    try:
        settings = validated(document, ("plugins", section.name), section.plugin_class.Settings, own)
    except Exception as error:  # noqa: BLE001 - a stranger's validator may raise anything; the host goes on
        sentence = document.without_secrets(f"{type(error).__name__}: {error}")
        detail = f"checking its settings failed: {sentence}"
        return replace(section, plugin_class=None, state=State.FAILED, detail=detail)
    return replace(section, settings=settings)


def check_routing(document: Tree) -> None:
    """Blame names of sections that there are not."""
    routing, raw = document.value.get("routing"), document.value.get("plugins")
    known = list(raw) if isinstance(raw, dict) else []
    for kind in ("inference", "transcription", "speech"):
        names = routing.get(kind) if isinstance(routing, dict) else None
        for path, name in _names(("routing", kind), names):
            if name not in known:
                document.blame(path, f"there is no section named {name!r}{nearest(name, known)}")


def _names(path: Path_, value: object) -> Iterator[tuple[Path_, str]]:
    """Every name in a list of names and lists of names, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _names((*path, index), each)
