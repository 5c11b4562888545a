"""A real host for a test: real YAML, real supervisor, real SQLite, in a folder of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import yaml

from jota_core.api import (
    InferenceBackend,
    MemoryStore,
    Plugin,
    SpeechBackend,
    Tool,
    TranscriptionBackend,
    Transport,
    hookimpl,
)
from jota_core.config import Config, load
from jota_core.host import Host
from jota_core.hosting import Finder

Offered = InferenceBackend | TranscriptionBackend | SpeechBackend | MemoryStore | Tool | Transport
Given = type[Plugin[Any]] | Offered
"""What a test may put into a section: a plugin class, or just the object that it would offer."""

MEMORY = {"plugin": "jota_db"}


class RunHost(Protocol):
    """What the fixture `run_host` is."""

    def __call__(
        self,
        config: str | Mapping[str, Any] = "",
        *,
        plugins: Mapping[str, Given] | None = None,
        options: Sequence[str] = (),
        memory: bool = True,
    ) -> AbstractAsyncContextManager[Host]:
        """As `running_host`, in the test's own folder."""


@asynccontextmanager
async def running_host(
    folder: Path,
    config: str | Mapping[str, Any] = "",
    *,
    plugins: Mapping[str, Given] | None = None,
    options: Sequence[str] = (),
    memory: bool = True,
) -> AsyncIterator[Host]:
    """Write `jota.yaml` into `folder`, run the host and stop it at the end.

    `config` is what the YAML says, as text or as a mapping. `plugins` maps section names to plugin
    classes of the test, or to objects to be offered; their settings may stand in `config` under the
    same names. `options` are as `--set` takes them. Unless `memory` is False or `config` has a section
    of that name, there is a section `memory` with jota_db. Raises `ConfigProblems`.
    """
    async with Host(write_config(folder, config, plugins or {}, options, memory=memory)) as host:
        yield host


def write_config(
    folder: Path,
    config: str | Mapping[str, Any],
    plugins: Mapping[str, Given],
    options: Sequence[str],
    *,
    memory: bool,
) -> Config:
    """The validated configuration of such a host; the environment of the tests has no say in it."""
    document = dict((yaml.safe_load(config) if isinstance(config, str) else config) or {})
    sections = {name: dict(section) for name, section in (document.get("plugins") or {}).items()}
    if memory and "memory" not in {*sections, *plugins}:
        sections = {"memory": MEMORY, **sections}
    for name in plugins:
        sections[name] = {**sections.get(name, {}), "plugin": _name(name)}
    file = folder / "jota.yaml"
    file.write_text(yaml.safe_dump({**document, "plugins": sections}, sort_keys=False, allow_unicode=True))
    given = {_name(section): _plugin_class(what) for section, what in plugins.items()}
    finder = Finder()

    def plugin_class(name: str, place: Path) -> type[Plugin[Any]]:
        return given[name] if name in given else finder.plugin_class(name, place)

    environ = {key: value for key, value in os.environ.items() if not key.startswith("JOTA")}
    return load(file, plugin_class=plugin_class, environ=environ, options=options)


def _name(section: str) -> str:
    return f"given-by-the-test:{section}"


def _plugin_class(given: Given) -> type[Plugin[Any]]:
    return given if isinstance(given, type) else _offering(given)


def _offering(given: Offered) -> type[Plugin[Any]]:
    """A plugin that offers one object and does nothing else."""

    class Backend(Plugin[Any]):
        @hookimpl
        def jota_backends(self) -> Sequence[Any]:
            return [given]

    class Memory(Plugin[Any]):
        @hookimpl
        def jota_memories(self) -> Sequence[Any]:
            return [given]

    class Tools(Plugin[Any]):
        @hookimpl
        def jota_tools(self) -> Sequence[Any]:
            return [given]

    class Door(Plugin[Any]):
        @hookimpl
        def jota_transports(self) -> Sequence[Any]:
            return [given]

    kinds = {
        InferenceBackend: Backend, TranscriptionBackend: Backend, SpeechBackend: Backend,
        MemoryStore: Memory, Tool: Tools, Transport: Door,
    }  # fmt: skip
    return next(offering for kind, offering in kinds.items() if isinstance(given, kind))


def free_port() -> int:
    """A TCP port on 127.0.0.1 that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
