"""The store's file: where it lies, who may read it, whose it is, and how a broken one is moved aside."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

from jota_core.api import NotReady

BESIDE = ("", "-wal", "-shm")
"""What SQLite keeps for one store: the file itself and two beside it."""


@dataclass(frozen=True)
class StoreFile:
    """A path and what is done to it outside SQLite. Every method blocks; call them in a thread."""

    path: Path

    def claim(self) -> int:
        """Lock the store for this process; returns the lock's descriptor, to be closed at the end.

        Raises `NotReady` when the folder cannot be written or another process holds the lock.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self._lock()
        except OSError as error:
            raise NotReady(self._unwritable(error)) from error

    def create(self) -> None:
        """Make the file if it is missing, and keep it from other users (0600). Raises `NotReady`."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            for end in BESIDE:
                _make_private(Path(f"{self.path}{end}"))
        except OSError as error:
            raise NotReady(self._unwritable(error)) from error

    def _lock(self) -> int:
        lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise NotReady(
                f"The store {self.path} is in use by another process. Stop that one, "
                "or give this host a data folder of its own with --data."
            ) from None
        except OSError:
            os.close(lock)
            raise
        return lock

    def _unwritable(self, error: OSError) -> str:
        return (
            f"The store {self.path} cannot be written: {error.strerror}. "
            f"Make {self.path.parent} writable for this user, or choose another place with `store:`."
        )

    def move_aside(self) -> Path:
        """Keep a corrupt file under another name, with what lies beside it; returns the new name."""
        aside = Path(f"{self.path}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}")
        for end in BESIDE:
            source = Path(f"{self.path}{end}")
            if source.exists():
                source.rename(f"{aside}{end}")
        return aside

    def size(self) -> int:
        """Bytes on disk, with the write-ahead log."""
        paths = (Path(f"{self.path}{end}") for end in BESIDE[:2])
        return sum(path.stat().st_size for path in paths if path.exists())


def _make_private(path: Path) -> None:
    if path.exists() and path.stat().st_mode & 0o077:
        path.chmod(0o600)
