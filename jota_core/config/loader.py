"""From a file, the environment and options to validated settings, or to every problem at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values
from pydantic import ValidationError

from jota_core.api import Plugin, Settings, State

from . import overrides, tree
from .problems import BrokenPlugin, ConfigProblems, LeftOut, Place, UnknownPlugin, nearest
from .sentences import blame
from .settings import AssistantSettings, HostSettings, RoutingSettings, TurnSettings
from .tree import Tree

PluginClass = type[Plugin[Any]]
CORE: dict[str, type[Settings]] = {
    "host": HostSettings,
    "assistant": AssistantSettings,
    "turns": TurnSettings,
    "routing": RoutingSettings,
}
S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class SectionConfig:
    """One section below `plugins:`.

    `state` is `loaded`, `failed` (its code could not be imported) or `stopped` (left out by safe mode);
    `detail` says why it is not loaded.
    """

    name: str
    plugin: str
    place: Place
    plugin_class: PluginClass | None = None
    settings: Settings | None = None
    required: bool = False
    state: State = State.LOADED
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that the user configured, validated."""

    file: Path
    data: Path
    host: HostSettings
    assistant: AssistantSettings
    turns: TurnSettings
    routing: RoutingSettings
    sections: tuple[SectionConfig, ...]


def load(
    file: Path,
    *,
    plugin_class: Callable[[str, Path], PluginClass],
    environ: Mapping[str, str],
    options: Sequence[str] = (),
    data: Path | None = None,
) -> Config:
    """Read and check a configuration; `plugin_class` finds a plugin by name and the file's folder.

    Raises `ConfigProblems` with all problems. Only plugins that the file names are imported.
    """
    folder = file.absolute().parent
    environ = {**_dotenv(folder), **environ}
    document = tree.read(file)
    overrides.from_environment(document, environ)
    overrides.from_options(document, options)
    _resolve_references(document, document.value, (), environ, folder)
    _unknown(document, (), {*CORE, "plugins"})
    host = _validate(document, ("host",), HostSettings)
    assistant = _validate(document, ("assistant",), AssistantSettings)
    turns = _validate(document, ("turns",), TurnSettings)
    routing = _validate(document, ("routing",), RoutingSettings)
    sections = _sections(document, folder, plugin_class)
    _check_routing(document, sections)
    if document.problems or not (host and assistant and turns and routing):
        raise ConfigProblems(
            sorted(document.problems, key=lambda found: (found.place.line, found.place.column))
        )
    place = data.absolute() if data else folder / (environ.get("JOTA_DATA") or host.data)
    return Config(file, place.resolve(), host, assistant, turns, routing, sections)


def _dotenv(folder: Path) -> dict[str, str]:
    file = folder / ".env"
    return (
        {key: value for key, value in dotenv_values(file).items() if value is not None}
        if file.is_file()
        else {}
    )


def _resolve_references(
    document: Tree, node: Any, path: tree.Path_, environ: Mapping[str, str], folder: Path
) -> Any:
    """Replace each `{env: NAME}` and `{file: PATH}` by what it names; values stay out of messages."""
    if isinstance(node, list):
        return [
            _resolve_references(document, item, (*path, i), environ, folder) for i, item in enumerate(node)
        ]
    if not isinstance(node, dict):
        return node
    if len(node) == 1 and path:
        [(kind, name)] = node.items()
        if kind == "env" and isinstance(name, str):
            return _from_environment(document, path, name, environ)
        if kind == "file" and isinstance(name, str):
            return _from_file(document, path, folder / name)
    for key in node:
        node[key] = _resolve_references(document, node[key], (*path, key), environ, folder)
    return node


def _from_environment(document: Tree, path: tree.Path_, name: str, environ: Mapping[str, str]) -> str | None:
    if not environ.get(name):
        document.blame(path, f"the environment has no {name}; set it, or put it into .env beside this file")
        return "missing"
    return environ[name]


def _from_file(document: Tree, path: tree.Path_, file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        document.blame(path, f"{file} cannot be read: {getattr(error, 'strerror', None) or error}")
        return "missing"


def _unknown(document: Tree, path: tree.Path_, known: set[str]) -> None:
    for key in list(document.value):
        if key not in known:
            document.blame((*path, key), f"not a known setting{nearest(key, known)}")


def _validate(document: Tree, path: tree.Path_, model: type[S], raw: Any = None) -> S | None:
    value = document.value.get(str(path[0])) if raw is None else raw
    value = {} if value is None else value
    if not isinstance(value, dict):
        document.blame(path, "must be a mapping of settings (`key: value`)")
        return None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        blame(document, path, error, model)
        return None


def _sections(
    document: Tree, folder: Path, plugin_class: Callable[[str, Path], PluginClass]
) -> tuple[SectionConfig, ...]:
    raw = document.value.get("plugins")
    if not isinstance(raw, dict) or not raw:
        document.blame(("plugins",), "names no plugin; a host needs at least one section below it")
        return ()
    found = (_section(document, name, value, folder, plugin_class) for name, value in raw.items())
    return tuple(section for section in found if section is not None)


def _section(
    document: Tree, name: str, raw: Any, folder: Path, plugin_class: Callable[[str, Path], PluginClass]
) -> SectionConfig | None:
    path: tree.Path_ = ("plugins", name)
    if not isinstance(raw, dict) or not isinstance(raw.get("plugin"), str):
        document.blame(path, "needs a line `plugin: NAME` that says which plugin it is")
        return None
    plugin, required = raw["plugin"], raw.get("required", False)
    place = document.place(path)
    if not isinstance(required, bool):
        document.blame((*path, "required"), "must be true or false")
        return None
    try:
        found = plugin_class(plugin, folder)
    except UnknownPlugin as error:
        document.blame((*path, "plugin"), error.sentence)
        return None
    except BrokenPlugin as error:
        return SectionConfig(
            name, plugin, place, required=required, state=State.FAILED, detail=error.sentence
        )
    except LeftOut:
        return SectionConfig(name, plugin, place, state=State.STOPPED, detail="left out by safe mode")
    own = {key: value for key, value in raw.items() if key not in ("plugin", "required")}
    settings = _validate(document, path, found.Settings, own)
    return SectionConfig(name, plugin, place, found, settings, required)


def _check_routing(document: Tree, sections: Sequence[SectionConfig]) -> None:
    routing = document.value.get("routing")
    names = routing.get("inference") if isinstance(routing, dict) else None
    raw = document.value.get("plugins")
    known = list(raw) if isinstance(raw, dict) else [section.name for section in sections]
    for index, name in enumerate(names if isinstance(names, list) else ()):
        if name not in known:
            document.blame(
                ("routing", "inference", index),
                f"there is no section named {name!r}{nearest(str(name), known)}",
            )
