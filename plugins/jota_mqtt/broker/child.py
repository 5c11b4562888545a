"""The process of the broker in the box: rumqttd, out of the wheel `iotcore`. It ends with its parent."""

from __future__ import annotations

import os
import sys
import threading


def main() -> None:
    """Serve until the standard input ends."""
    from iotcore import IotCoreBroker

    threading.Thread(target=_end_with_parent, daemon=True).start()
    IotCoreBroker(config_path=sys.argv[1]).run_forever()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
