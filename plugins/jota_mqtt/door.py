"""The door: one line to the broker while it is open, and the house behind it."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

from jota_core.api import (
    APP,
    Destination,
    Health,
    LanOffer,
    PluginContext,
    Sessions,
    Transport,
    is_loopback,
)

from .broker.choice import Choice
from .broker.embedded import USER, Embedded
from .broker.link import Line, Link
from .house import House
from .settings import MqttSettings
from .wire.topics import NODE_ID, of_host


class MqttDoor(Transport):
    """Set `context` (and `embedded`, where there is one) before serving."""

    context: PluginContext

    def __init__(self, settings: MqttSettings) -> None:
        self.destination = Destination(settings.far)
        self._choice = Choice(settings, self.destination, self._resolve)
        self._settings = settings
        self.embedded: Embedded | None = None
        self.house: House | None = None

    async def serve(self, sessions: Sessions) -> None:
        settings, ctx = self._settings, self.context
        host = settings.host or host_name(ctx.data_dir / "mqtt")
        house = House(settings, sessions, ctx, host)
        line = Line(
            f"jota-{host}", of_host(host, "status"), house.mail.subscriptions, self._login,
            lambda: self.embedded.trouble if self.embedded else "",
        )  # fmt: skip
        self.house = house
        try:
            await house.run(Link(settings, line, ctx.log, self.destination, self._choice))
        finally:
            self.house = None

    async def _resolve(self, host: str) -> Sequence[str]:
        return await self.context.lan.resolve(host)

    def _login(self) -> tuple[str | None, str | None]:
        if self.embedded is not None:
            return (None, None) if self.embedded.password is None else (USER, self.embedded.password)
        password = self._settings.password
        return self._settings.username, password.get_secret_value() if password else None

    def offers(self) -> Sequence[LanOffer]:
        """Where nodes find the broker, as a hint beside the app door."""
        settings = self._settings
        if self.house is None or settings.far.is_discovered or is_loopback(settings.hostname):
            return ()
        return [LanOffer(APP, "", 0, {"mqtt": f"{settings.hostname}:{settings.port}"})]

    def health(self) -> Health:
        """How many nodes there are; why none can be served."""
        house = self.house
        if self.embedded is not None and self.embedded.trouble:
            return Health(False, self.embedded.trouble)
        if house is None:
            return Health(True)
        if house.trouble:
            return Health(False, house.trouble, "" if house.is_reached else self.destination.advice)
        online = sum(node.seen.status == "online" for node in house.registry)
        waiting = [node.id for node in house.registry if node.seen.code and not node.known.is_approved]
        hint = f"`jota nodes approve {waiting[0]}` serves a node that asked." if waiting else ""
        hint = self._choice.objection or hint
        mine = len(house.neighbours.ownership.mine())
        return Health(True, f"{len(house.registry)} nodes, {online} online, {mine} served here.", hint)


def host_name(folder: Path) -> str:
    """What this host is called on the broker; made once."""
    file = folder / "host"
    if file.exists() and NODE_ID.fullmatch(name := file.read_text().strip()):
        return name
    machine = "".join(
        each if each.isascii() and each.isalnum() else "-" for each in socket.gethostname().lower()
    )
    name = f"{machine.strip('-')[:40] or 'jota'}-{secrets.token_hex(3)}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(name)
    return name
