"""Host and Origin lists: they keep foreign web pages from talking to a Jota on this machine."""

from __future__ import annotations

import re
import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from jota_core.api import Code, Refused, is_loopback

from .settings import HttpSettings

HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.-]+)(?::(\d{1,5}))?")


class Guard:
    """Judges where a request was sent to and which page it comes from."""

    def __init__(self, settings: HttpSettings) -> None:
        name = socket.gethostname().lower()
        self._any_host = "*" in settings.allowed_hosts
        self._any_origin = "*" in settings.allowed_origins
        self._hosts = {"localhost", name, f"{name}.local", settings.address[0].lower()}
        self._hosts.update(host.lower() for host in settings.allowed_hosts)
        self._origins = {origin.lower().rstrip("/") for origin in settings.allowed_origins}

    def check(self, host: str | None, origin: str | None) -> None:
        """Raises `Refused` (`forbidden`). Programs that send no origin are no web pages."""
        if host is not None and not self._host_is_ours(host):
            raise Refused(
                Code.FORBIDDEN,
                "This server is not known by the name in the Host header. Add it to `allowed_hosts`.",
            )
        if origin is not None and not self._origin_is_allowed(origin.lower(), host):
            raise Refused(
                Code.FORBIDDEN,
                "Web pages of this origin may not talk to this server. Add it to `allowed_origins`.",
            )

    def _host_is_ours(self, host: str) -> bool:
        match = HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].strip("[]").lower()
        return self._any_host or name in self._hosts or _is_address(name)

    def _origin_is_allowed(self, origin: str, host: str | None) -> bool:
        if self._any_origin or origin in self._origins:
            return True
        try:
            page = urlsplit(origin)
            return page.netloc == (host or "").lower() or is_loopback(page.hostname or "")
        except ValueError:
            return False


def _is_address(name: str) -> bool:
    """A page that rebinds DNS has a name; nobody can rebind an address."""
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
