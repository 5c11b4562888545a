"""Who this host is on the LAN: an id that stays, and a name for people."""

from __future__ import annotations

import os
import re
import secrets
import socket
from pathlib import Path

ID = re.compile(r"[0-9a-f]{16}")


def own_id(file: Path) -> str:
    """The id of this data folder; made once."""
    if file.exists() and ID.fullmatch(known := file.read_text().strip()):
        return known
    made = secrets.token_hex(8)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(made)
    return made


def machine_name() -> str:
    """The machine's own name, as far as it can be a host name."""
    name = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().partition(".")[0].lower()).strip("-")
    return name[:63].strip("-") or "jota"
