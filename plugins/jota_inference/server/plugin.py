"""The plugin `jota_inference_center`: settings, keys, door and health."""

from __future__ import annotations

from collections.abc import Sequence

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

from .door import Center
from .keys import ROLES, CenterKeys
from .settings import CenterSettings

NO_KEYS = (
    "It listens on {listen}, which other machines can reach, but has no keys, so anyone could use "
    "the models. Add `keys: {{orchestrator: {{env: INFERENCE_API_KEY}}}}` or listen on 127.0.0.1."
)


class JotaInferenceCenter(Plugin[CenterSettings]):
    """Offers this host's models to other machines."""

    Settings = CenterSettings

    def __init__(self, settings: CenterSettings) -> None:
        super().__init__(settings)
        self._keys = CenterKeys(settings)
        self._center = Center(settings)
        self._section = ""

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Refuse a listener that strangers could use. Raises `SetupFailed`."""
        if not self.settings.is_loopback and not self._keys:
            raise SetupFailed(NO_KEYS.format(listen=self.settings.listen))
        self._section = ctx.section
        self._center.context = ctx

    @hookimpl
    def jota_transports(self) -> Sequence[Transport]:
        return [self._center]

    @hookimpl
    async def jota_authenticate(self, credentials: Credentials) -> Principal | None:
        """Its keys count at its own door only; without keys that door is open, which only loopback may be."""
        if credentials.door != self._section:
            return None
        if self._keys:
            return self._keys.principal(credentials)
        return Principal(credentials.user_id or "anybody", ROLES)

    @hookimpl
    async def jota_draining(self, deadline_s: float) -> None:
        await self._center.drain(deadline_s)

    @hookimpl
    async def jota_health(self) -> Health | None:
        return self._center.health()
