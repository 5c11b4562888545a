"""When Jota itself fails: a sentence for the user, the details into a file."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

_secrets: set[str] = set()


def hide(secrets: Collection[str]) -> None:
    """Keep these out of what is told from now on."""
    _secrets.update(secrets)


def tell(error: Exception) -> None:
    """Say what happened and where the details are."""
    from jota_core.config import Redaction

    clean = Redaction(_secrets)
    file = Path(os.environ.get("JOTA_DATA") or ".") / "jota-crash.log"
    details = clean("".join(traceback.format_exception(error)))
    try:
        with file.open("a") as log:
            log.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n{details}\n")
        where = f"The details are in {file}."
    except OSError:
        where = "The details could not be written to a file."
    said = clean(f"{type(error).__name__}: {error}")
    sys.stderr.write(f"Jota stopped because of an error of its own: {said}\n{where}\n")
