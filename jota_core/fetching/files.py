"""Moving model files: checked, at once or not at all, without copying where a link will do."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

BLOCK = 1024 * 1024
SPARE = 200_000_000
"""Bytes that stay free on a disk."""
WAIT_S, LOOK_S = 3600.0, 0.2
"""For another process that fetches into the same folder."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how many bytes of how many."""


class PullFailed(Exception):
    """A model could not be fetched; the text says why and what to do, for people."""


@contextmanager
def held(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold a folder of models: what one process fetches, another neither takes away nor fetches again.

    Not twice in one process. Raises `PullFailed` when the other one takes too long.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, end = os.open(folder, os.O_RDONLY | os.O_CLOEXEC), monotonic() + WAIT_S
    try:
        while not _took(handle):
            if monotonic() > end:
                raise PullFailed(
                    f"Another process has been fetching into {folder} for long. End it, or wait."
                )
            progress("waiting for another one that fetches", 0, 0)
            sleep(LOOK_S)
        yield
    finally:
        os.close(handle)


def _took(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def check(path: Path, sha256: str | None, progress: Progress) -> None:
    """Compare a file with its checksum, where one is known. Raises `PullFailed`."""
    if sha256 is None:
        return
    found = digest(path, progress)
    if found != sha256:
        raise PullFailed(
            f"{path.name} is not the file it should be: its SHA-256 is {found[:16]}…, not {sha256[:16]}…. "
            "It is not used; try again, and if it happens again, do not trust the source."
        )


def digest(path: Path, progress: Progress) -> str:
    """SHA-256 of a file, in hexadecimal."""
    total, done, state = path.stat().st_size, 0, hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            state.update(block)
            done += len(block)
            progress("checking", done, total)
    return state.hexdigest()


def place(source: Path, target: Path, progress: Progress) -> None:
    """Make `source` appear as `target`, linked where the disk allows, else copied. Raises `PullFailed`."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if target.exists() and target.samefile(source):
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        try:
            part.hardlink_to(source.resolve())
        except OSError:
            _copy(source, part, progress)  # another disk, or one that knows no links
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def need_room(folder: Path, size: int) -> None:
    """Raises `PullFailed` when `size` bytes do not fit on the disk of `folder`."""
    near = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(near).free
    if free < size + SPARE:
        raise PullFailed(
            f"The model needs {size / 1e9:.1f} GB, and only {free / 1e9:.1f} GB are free on the disk of "
            f"{near}. Make room, or use --data DIR on another disk."
        )


def write(path: Path, blocks: Callable[[int], bytes], size: int, progress: Progress) -> None:
    """Write what `blocks` reads into a new file."""
    done = 0
    with path.open("wb") as file:
        while block := blocks(BLOCK):
            file.write(block)
            done += len(block)
            progress("unpacking", done, size)


def _copy(source: Path, target: Path, progress: Progress) -> None:
    size = source.stat().st_size
    need_room(target.parent, size)
    with source.open("rb") as file:
        write(target, file.read, size, progress)
