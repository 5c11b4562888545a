"""The command line: the core's commands, and those that plugins bring."""

from __future__ import annotations

import sys

from .exits import CRASHED, INTERRUPTED


def main() -> None:
    """Run the command line; whatever fails ends in a sentence and an exit code."""
    from .brought import commands, run

    try:
        name = sys.argv[1] if len(sys.argv) > 1 else ""
        if name in commands():
            run(name, sys.argv[2:])
        else:
            from .app import app

            app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last net: no traceback is ever shown to a user
        from .crash import tell

        tell(error)
        sys.exit(CRASHED)


__all__ = ["main"]
