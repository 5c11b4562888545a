"""The data folder: private, and used by one host at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer

from .exits import WRONG

LOCK = "jota.lock"


@contextmanager
def locked(data: Path) -> Iterator[int]:
    """Hold the data folder; another host in it, or a folder that cannot be written, ends with a sentence.

    Gives the open lock: a child that inherits it holds the folder too.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        refuse(f"The data folder {data} cannot be written: {error.strerror}. Mend that, or use --data DIR.")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        refuse(
            f"Another Jota (process {holder(data)}) uses {data}. Stop it, or use --data DIR for a second one."
        )
    os.truncate(handle, 0)
    os.write(handle, str(os.getpid()).encode())
    try:
        yield handle
    finally:
        os.truncate(handle, 0)
        os.close(handle)


def holder(data: Path) -> str:
    """The process id of the host that holds a data folder; empty when there is none."""
    try:
        with (data / LOCK).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip()
    except OSError:
        pass  # no lock file: no host has ever run here
    return ""


def refuse(sentence: str) -> NoReturn:
    """Say what is wrong and end with the exit code for it."""
    typer.echo(sentence, err=True)
    raise typer.Exit(WRONG)
