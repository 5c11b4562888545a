"""When Jota itself fails: a sentence for the user, the details into a file."""

from __future__ import annotations

import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path


def tell(error: Exception) -> None:
    """Say what happened and where the details are."""
    file = Path(os.environ.get("JOTA_DATA") or ".") / "jota-crash.log"
    try:
        with file.open("a") as log:
            log.write(
                f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n{''.join(traceback.format_exception(error))}\n"
            )
        where = f"The details are in {file}."
    except OSError:
        where = "The details could not be written to a file."
    sys.stderr.write(
        f"Jota stopped because of an error of its own: {type(error).__name__}: {error}\n{where}\n"
    )
