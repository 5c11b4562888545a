"""The plugin: settings, token, doors and health."""

from __future__ import annotations

from collections.abc import Sequence
from hmac import compare_digest

from jota_core.api import (
    Credentials,
    Health,
    Plugin,
    PluginContext,
    Principal,
    SetupFailed,
    Transport,
    hookimpl,
)

from .door import SpeakerDoor
from .settings import SpeakerSettings

IS_OPEN = (
    "It listens on {listen}, which other machines can reach, but has no token, so anyone could use the "
    "voices. Add `token: {{env: JOTA_SPEAKER_TOKEN}}`, or `keys_required: true`, or listen on 127.0.0.1."
)
ROLES = frozenset({"service"})


class JotaSpeaker(Plugin[SpeakerSettings]):
    """Offers this host's voices to other machines."""

    Settings = SpeakerSettings

    def __init__(self, settings: SpeakerSettings) -> None:
        super().__init__(settings)
        self._door = SpeakerDoor(settings)
        self._section = ""

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Refuse a listener that strangers could use. Raises `SetupFailed`."""
        if not self.settings.is_loopback and self.settings.is_open:
            raise SetupFailed(IS_OPEN.format(listen=self.settings.listen))
        self._section = ctx.section
        self._door.context = ctx

    @hookimpl
    def jota_transports(self) -> Sequence[Transport]:
        return [self._door]

    @hookimpl
    async def jota_authenticate(self, credentials: Credentials) -> Principal | None:
        """Its token counts at its own door only; without one it is open, which only loopback may be."""
        if credentials.door != self._section:
            return None
        if self.settings.is_open:
            return Principal("anybody", ROLES)
        token = self.settings.token.get_secret_value() if self.settings.token else ""
        given = (credentials.key or "").encode("utf-8", "surrogatepass")
        return Principal("token", ROLES) if token and compare_digest(token.encode(), given) else None

    @hookimpl
    async def jota_health(self) -> Health | None:
        return self._door.health()
