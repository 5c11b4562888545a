"""The plugin: settings, the broker in the box, the door, routes and health."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib import import_module

from jota_core.api import (
    Health,
    HttpRoute,
    Plugin,
    PluginContext,
    ServiceMatcher,
    ServiceRecord,
    SetupFailed,
    Transport,
    hookimpl,
)

from .broker.embedded import Embedded
from .door import MqttDoor
from .nodes.passwords import Passwords
from .nodes.routes import NodeRoutes
from .settings import MqttSettings


class JotaMqtt(Plugin[MqttSettings]):
    """A door for edge nodes."""

    Settings = MqttSettings

    def __init__(self, settings: MqttSettings) -> None:
        super().__init__(settings)
        self._door = MqttDoor(settings)
        self._routes = NodeRoutes(lambda: self._door.house, Passwords(settings.password_file))

    @hookimpl
    def jota_service_matchers(self) -> Sequence[ServiceMatcher]:
        """Brokers on the LAN, with `broker: discover`."""
        return self._door.destination.matchers

    @hookimpl
    async def jota_service_found(self, service: ServiceRecord) -> None:
        """Use it from now on."""
        self._door.destination.found(service)

    @hookimpl
    async def jota_service_lost(self, service: ServiceRecord) -> None:
        """Use another one when the line to it breaks."""
        self._door.destination.lost(service)

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Start the broker in the box, where there is one. Raises `SetupFailed`."""
        self._door.context = ctx
        if not self.settings.embedded:
            return
        try:
            await asyncio.to_thread(import_module, "iotcore")
        except ImportError:
            raise SetupFailed(
                "There is no broker in the box for this system (no wheel of `iotcore`); run Mosquitto and "
                "set `embedded: false`."
            ) from None
        embedded = self._door.embedded = Embedded(self.settings, ctx.data_dir / "mqtt", ctx.log)
        embedded.prepare()
        ctx.spawn("broker", embedded.run)

    @hookimpl
    def jota_transports(self) -> Sequence[Transport]:
        return [self._door]

    @hookimpl
    def jota_http_routes(self) -> Sequence[HttpRoute]:
        return self._routes.all()

    @hookimpl
    async def jota_health(self) -> Health | None:
        return self._door.health()
