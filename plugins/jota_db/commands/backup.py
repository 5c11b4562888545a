"""`jota db backup` and `restore`: copy the store while Jota runs, put it back while it does not."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from jota_core.api import NotReady

from ..sqlite.files import BESIDE, StoreFile
from ..urls import StoreUrl
from .clients import USUAL, Store
from .opening import data_folder
from .saying import Data, stop, url_of

PAGES = 512
"""Copied at once; between them a running host may write."""
SERVER = "{store} is on a PostgreSQL server, which has its own tool: {command}"


def backup(
    file: Annotated[Path, typer.Argument(help="The new file; one that exists is not written over.")],
    store: Store = USUAL,
    data: Data = None,
) -> None:
    """Copy the store into one file. Jota may run meanwhile."""
    path = _path(url_of(store), data, f"pg_dump --format=custom --file={file} {store}")
    if not path.exists():
        stop(f"There is no store {path}.")
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        stop(f"{file} cannot be written: {error.strerror}. Name a new file where you may write.")
    try:
        _copy(path, file)
        _check(file)
    except (sqlite3.Error, OSError) as error:
        file.unlink()
        stop(f"The store was not copied: {error}. Nothing was left behind; try again.")
    typer.echo(f"{path} is in {file} ({file.stat().st_size / 1e6:.1f} MB). It holds all that was said.")


def restore(
    file: Annotated[Path, typer.Argument(help="What `jota db backup` has made.")],
    store: Store = USUAL,
    data: Data = None,
) -> None:
    """Put a backup in the place of the store, which is moved aside. Stop Jota first."""
    path = _path(url_of(store), data, f"pg_restore --clean --if-exists --dbname={store} {file}")
    try:
        _check(file)
    except sqlite3.Error as error:
        stop(f"{file} is no whole backup: {error}. Nothing was changed.")
    place = StoreFile(path)
    try:
        lock = place.claim()
    except NotReady as error:
        stop(str(error))
    try:
        aside = _put(file, path)
    finally:
        os.close(lock)
    typer.echo(f"{file} is the store {path} now." + (f" What was there is in {aside}." if aside else ""))


def _path(url: StoreUrl, data: Path | None, command: str) -> Path:
    """Where the store's file is; a server ends the command."""
    if not url.is_file:
        stop(SERVER.format(store=url, command=command))
    return url.path(data_folder(data))


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source, timeout=5)) as reading, closing(sqlite3.connect(target)) as writing:
        reading.backup(writing, pages=PAGES, sleep=0.01)


def _check(file: Path) -> None:
    """Raises `sqlite3.Error` for what is no whole store."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as found:
        told = found.execute("PRAGMA quick_check").fetchone()[0]
        if told != "ok":
            raise sqlite3.DatabaseError(told)
        if not found.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            raise sqlite3.DatabaseError("it holds no store of Jota")


def _put(file: Path, path: Path) -> Path | None:
    """The copy is whole before it takes its place; what was there is kept under another name."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_CREAT | os.O_WRONLY, 0o600))
    _copy(file, new)
    aside = Path(f"{path}.before-{time.strftime('%Y%m%d-%H%M%S')}") if path.exists() else None
    for end in BESIDE:
        if aside and Path(f"{path}{end}").exists():
            Path(f"{path}{end}").rename(f"{aside}{end}")
    new.rename(path)
    return aside
