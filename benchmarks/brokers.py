"""The broker between nodes and host: Mosquitto where it is installed, else the one in the box."""

from __future__ import annotations

import getpass
import shutil
import socket
import time
from pathlib import Path

from .process import Server, free_port

CONFIG = """listener {port} 127.0.0.1
allow_anonymous true
user {user}
set_tcp_nodelay true
max_inflight_messages 1000
"""


class Mosquitto(Server):
    """One broker, with nothing on the disk."""

    def __init__(self, command: str, folder: Path) -> None:
        port, config = free_port(), folder / "mosquitto.conf"
        config.write_text(CONFIG.format(port=port, user=getpass.getuser()))
        super().__init__([command, "-c", config], port, folder / "mosquitto.log")


def mosquitto(folder: Path) -> Mosquitto | None:
    """Start it; None where it is not installed."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    return Mosquitto(found, folder) if found else None


def await_listener(port: int, limit_s: float = 20.0) -> None:
    """Until somebody listens at the port. Raises `TimeoutError`."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"No broker listens on port {port}.")
