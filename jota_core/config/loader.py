"""From a file, the environment and options to validated settings, or to every problem at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jota_core.api import Settings

from . import overrides
from .problems import ConfigProblems, Problem, nearest
from .reading import read
from .references import Resolver, dotenv, secrets
from .sections import Find, SectionConfig, check_routing, sections, validated
from .settings import AssistantSettings, HostSettings, RoutingSettings, TurnSettings
from .tree import Path_, Tree, dotted

PASSWORD = re.compile(r"[\w+.-]+://[^/@:]*:([^/@]+)@")
CORE: dict[str, type[Settings]] = {
    "host": HostSettings,
    "assistant": AssistantSettings,
    "turns": TurnSettings,
    "routing": RoutingSettings,
}


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
    warnings: tuple[Problem, ...] = ()
    """Works, but should be mended."""

    worker: int | None = None
    """Which of several worker processes this is for."""
    workers: int = 1
    """How many there are."""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """Every secret value, for the log to leave out."""


def load(
    file: Path,
    *,
    plugin_class: Find,
    environ: Mapping[str, str],
    options: Sequence[str] = (),
    data: Path | None = None,
) -> Config:
    """Read and check a configuration; `plugin_class` finds a plugin by name and the file's folder.

    Raises `ConfigProblems` with all problems. Only plugins that the file names are imported.
    """
    folder = file.absolute().parent
    document = read(file)
    environ = {**dotenv(document, folder), **environ}
    overrides.from_environment(document, environ)
    overrides.from_options(document, options)
    document.value = Resolver(document, environ, folder).resolve(document.value)
    _unknown(document, {*CORE, "plugins"})
    host = validated(document, ("host",), HostSettings, document.value.get("host"))
    assistant = validated(document, ("assistant",), AssistantSettings, document.value.get("assistant"))
    turns = validated(document, ("turns",), TurnSettings, document.value.get("turns"))
    routing = validated(document, ("routing",), RoutingSettings, document.value.get("routing"))
    found = sections(document, folder, plugin_class)
    check_routing(document)
    place = _data_folder(document, folder, data or environ.get("JOTA_DATA") or (host.data if host else ""))
    if document.problems or not (host and assistant and turns and routing):
        raise ConfigProblems(_in_order(document.problems))
    known = [
        (("plugins", each.name, *path), value) for each in found for path, value in secrets(each.settings)
    ]
    warnings = tuple(_in_plain_text(document, [path for path, _ in known]))
    values = frozenset(_forms(value for _, value in known)) | frozenset(_passwords(document.value))
    return Config(file, place, host, assistant, turns, routing, found, warnings, secrets=values)


def _forms(secrets: Iterable[str]) -> Iterator[str]:
    """Each secret, and each key of a list such as `id=key,id=key`."""
    for secret in secrets:
        yield from filter(None, (secret, *(pair.partition("=")[2] for pair in secret.split(","))))


def _passwords(value: Any) -> Iterator[str]:
    """Passwords within URLs anywhere in the file, as in `postgresql://jota:PASSWORD@server/jota`."""
    if isinstance(value, str):
        yield from (found[1] for found in [PASSWORD.match(value)] if found)
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _passwords(each)


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda found: (found.place.line, found.place.column))


def _unknown(document: Tree, known: set[str]) -> None:
    for key in document.value:
        if key not in known:
            document.blame((key,), f"not a known setting{nearest(key, known)}")


def _data_folder(document: Tree, folder: Path, given: Path | str) -> Path:
    """Where data lives: `--data` from the working directory, everything else from the file's folder."""
    try:
        base = Path.cwd() if isinstance(given, Path) else folder
        return (base / Path(given).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        document.blame(("host", "data"), f"{str(given)!r} is no folder that can be used: {error}")
        return folder


def _in_plain_text(document: Tree, paths: Sequence[Path_]) -> list[Problem]:
    """A warning for each secret that stands in the file itself."""
    sentence = (
        "is a secret in plain text; write `{env: NAME}` and put the value into .env, or write `{file: PATH}`"
    )
    return [
        Problem(document.places[path], dotted(path), sentence)
        for path in paths
        if path in document.places and document.places[path].line and not document.hides(path)
    ]
