"""Which sections a worker runs, and with which settings: the plugins say, this carries it out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from jota_core.api import (
    InferenceBackend,
    Plugin,
    Settings,
    Sharing,
    State,
    TranscriptionBackend,
    UseFirst,
    Worker,
)
from jota_core.config import Config, SectionConfig
from jota_core.hosting.calls import CallFailed, call_now
from jota_core.hosting.verdicts import describe

GROUP = "jota.workers"
KINDS = ("memory", "inference", "transcription")
FOLDER = "workers"
SHARED = ("models", "known")
"""Folders of the host's that its workers see as theirs: what was fetched is fetched once, and whose id this
host has learnt to trust, all of them trust."""

log = logging.getLogger("jota.workers")

Find = Callable[[str, Path], type[Plugin[Any]]]


def divided(config: Config, worker: Worker, find: Find) -> Config:
    """The configuration of one worker."""
    shared = _shared(config, replace(worker, number=2))
    sections = [each for section in config.sections for each in _section(section, worker, find)]
    if worker.is_first:
        sections += _servers(config, shared, worker, find)
    data = folder(config.data, worker.number)
    return replace(config, data=data, sections=tuple(sections), worker=worker.number, workers=worker.count)


def folder(data: Path, number: int) -> Path:
    """The data folder of a worker: the host's own for the first."""
    return data if number == 1 else own(data, number)


def own(data: Path, number: int) -> Path:
    """Where only this worker is; its lock tells whether it runs."""
    return data / FOLDER / str(number)


def share(data: Path, number: int) -> None:
    """Put what a worker shares with the host into its folder."""
    for name in SHARED if number > 1 else ():
        link = own(data, number) / name
        if not link.exists():
            (data / name).mkdir(exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(Path("..", "..", name), target_is_directory=True)


def left(data: Path, count: int) -> list[int]:
    """Workers of an earlier start that this one, of so many, does not have."""
    found = [each.name for each in (data / FOLDER).glob("*") if each.name.isdecimal()]
    return sorted(number for number in map(int, found) if number > count)


def _section(section: SectionConfig, worker: Worker, find: Find) -> Iterator[SectionConfig]:
    if section.plugin_class is None or section.settings is None:
        if worker.is_first:
            yield section
        return
    try:
        yield from call_now(section.name, _present, section, worker, find)
    except CallFailed as failed:
        log.error("Section %s cannot be divided.", section.name, exc_info=failed.error)
        detail = f"Its plugin cannot say what it is in this worker: {describe(failed.error)}."
        yield replace(section, plugin_class=None, state=State.FAILED, detail=detail)


def _present(section: SectionConfig, worker: Worker, find: Find) -> list[SectionConfig]:
    """The section as this worker has it, if it does. Raises whatever the plugin does."""
    answer = _answer(section, worker)
    if isinstance(answer, UseFirst):
        plugin, settings = _sharing(answer.kind).client(worker)
        return [_made(section, plugin, {**settings, **answer.settings}, find)]
    return [] if answer is None else [replace(section, settings=answer)]


def _answer(section: SectionConfig, worker: Worker) -> Settings | UseFirst | None:
    """What the plugin says; a backend that only the first has is used from there."""
    assert section.plugin_class is not None
    answer: Settings | UseFirst | None = section.plugin_class.in_worker(section.settings, worker)
    if answer is None and (kind := _offered(section)):
        return UseFirst(kind)
    return answer


def _offered(section: SectionConfig) -> str | None:
    """The kind of backend that a section offers, where there is a wire for it."""
    assert section.plugin_class is not None
    offer = getattr(section.plugin_class(section.settings), "jota_backends", tuple)
    for backend in offer():
        if isinstance(backend, InferenceBackend):
            return "inference"
        if isinstance(backend, TranscriptionBackend):
            return "transcription"
    return None


def _shared(config: Config, other: Worker) -> set[str]:
    """The kinds that other workers want of the first."""
    known = [each for each in config.sections if each.plugin_class and each.settings]
    return {kind for each in known if (kind := _wanted(each, other)) in KINDS}


def _wanted(section: SectionConfig, other: Worker) -> str | None:
    with suppress(CallFailed):  # which the other one tells
        answer = call_now(section.name, _answer, section, other)
        return answer.kind if isinstance(answer, UseFirst) else None
    return None


def _servers(config: Config, kinds: set[str], worker: Worker, find: Find) -> Iterator[SectionConfig]:
    for kind in sorted(kinds):
        if found := _sharing(kind).server(worker):
            name = f"workers-{kind}"
            yield _made(SectionConfig(name, found[0], config.sections[0].place), *found, find)


def _made(section: SectionConfig, plugin: str, settings: dict[str, Any], find: Find) -> SectionConfig:
    plugin_class = find(plugin, Path())
    made = plugin_class.Settings.model_validate(settings)
    return replace(section, plugin=plugin, plugin_class=plugin_class, settings=made)


def _sharing(kind: str) -> Sharing:
    if kind not in KINDS:
        raise ValueError(f"the first shares no {kind!r}, only {', '.join(KINDS)}")
    (found,) = entry_points(group=GROUP, name=kind)
    sharing: Sharing = found.load()()
    return sharing
