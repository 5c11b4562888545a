"""Passwords of nodes, in a Mosquitto password file that is ours; Mosquitto reads it again on SIGHUP.

The lines are those of `mosquitto_passwd`: `user:$7$iterations$salt$hash`, PBKDF2 with SHA-512.
"""

from __future__ import annotations

import os
import secrets
from base64 import b64encode
from hashlib import pbkdf2_hmac
from pathlib import Path

ITERATIONS = 101
"""What `mosquitto_passwd` uses; the passwords are random with 192 bits, so that more would be no gain."""


class Passwords:
    """One file; without one nodes get no passwords from us."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def add(self, user: str) -> str | None:
        """A new password, shown once; an older one is worth nothing any more. Raises `OSError`."""
        if self._file is None:
            return None
        password = secrets.token_urlsafe(24)
        self._write([*self._others(user), line(user, password)])
        return password

    def remove(self, user: str) -> None:
        """Its password is worth nothing any more. Raises `OSError`."""
        if self._file is not None and self._file.exists():
            self._write(self._others(user))

    def _others(self, user: str) -> list[str]:
        assert self._file is not None
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return [each for each in lines if each.partition(":")[0] != user]

    def _write(self, lines: list[str]) -> None:
        """As a whole or not at all; readable by its owner and the broker's group."""
        assert self._file is not None
        new = self._file.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "w") as file:
            file.write("".join(f"{each}\n" for each in lines))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._file)


def line(user: str, password: str) -> str:
    """One line of the file."""
    salt = secrets.token_bytes(12)
    digest = pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS, 64)
    return f"{user}:$7${ITERATIONS}${b64encode(salt).decode()}${b64encode(digest).decode()}"
