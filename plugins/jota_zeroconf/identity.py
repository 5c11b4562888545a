"""Who this host is on the LAN: an id that stays, and a name for people."""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
from pathlib import Path

log = logging.getLogger(__name__)
ID = re.compile(r"[0-9a-f]{16}")


def own_id(file: Path) -> str:
    """The id of this data folder; made once, and never torn."""
    if file.exists():
        if ID.fullmatch(known := file.read_text().strip()):
            return known
        log.warning("%s holds no id. This host gets a new one, and others take it for another host.", file)
    made, new = secrets.token_hex(8), file.with_name(f"{file.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(made)
        out.flush()
        os.fsync(out.fileno())
    new.replace(file)
    return made


def machine_name() -> str:
    """The machine's own name, as far as it can be a host name."""
    name = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().partition(".")[0].lower()).strip("-")
    return name[:63].strip("-") or "jota"
