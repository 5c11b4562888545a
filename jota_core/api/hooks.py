"""Hooks: everything that a plugin may answer. Hooks register and decide; contracts do the work.

The dispatcher walks implementations in the order of the sections in `jota.yaml`, awaits what is
awaitable under a time limit and isolates every failure. An implementation may leave out arguments
it does not need.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from .contracts import InferenceBackend, MemoryStore, Tool, Transport
from .facts import Credentials, Health, Principal
from .http import HttpRoute
from .plugin import PluginContext
from .services import ServiceMatcher, ServiceRecord
from .speech import SpeechBackend, TranscriptionBackend
from .turns import TurnDraft

PROJECT = "jota"
Backend = InferenceBackend | TranscriptionBackend | SpeechBackend
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class JotaHooks:
    """Every hook of the host."""

    @hookspec
    async def jota_setup(self, ctx: PluginContext) -> None:
        """Connect and open what the section needs; own plugin only.

        Register clean-up with `ctx.on_close` where each resource opens. Raise `NotReady`,
        `AuthFailed` or `SetupFailed`; network errors and time-outs count as `NotReady`.
        """

    @hookspec
    async def jota_started(self) -> None:
        """Every section has been set up once; start background work with `ctx.spawn`."""

    @hookspec
    async def jota_draining(self, deadline_s: float) -> None:
        """Stop taking new work; running work has `deadline_s` seconds."""

    @hookspec
    def jota_transports(self) -> Sequence[Transport]:  # type: ignore[empty-body]  # a specification
        """Doors that this section offers. Touch nothing: it runs before any I/O."""

    @hookspec
    def jota_backends(self) -> Sequence[Backend]:  # type: ignore[empty-body]  # a specification
        """Backends of any kind that this section offers. Touch nothing: it runs before any I/O."""

    @hookspec
    def jota_memories(self) -> Sequence[MemoryStore]:  # type: ignore[empty-body]  # a specification
        """Memory stores that this section offers. Touch nothing: it runs before any I/O."""

    @hookspec
    def jota_tools(self) -> Sequence[Tool]:  # type: ignore[empty-body]  # a specification
        """Tools that this section offers. Touch nothing: it runs before any I/O."""

    @hookspec
    def jota_http_routes(self) -> Sequence[HttpRoute]:  # type: ignore[empty-body]  # a specification
        """HTTP routes that HTTP doors serve for this section. Touch nothing: it runs before any I/O."""

    @hookspec
    def jota_service_matchers(self) -> Sequence[ServiceMatcher]:  # type: ignore[empty-body]  # a specification
        """Services on the LAN that this section wants to hear of. Touch nothing: it runs before any I/O."""

    @hookspec
    async def jota_service_found(self, service: ServiceRecord) -> None:
        """A matching service has settled on the LAN, or has changed; a section that waits is tried again."""

    @hookspec
    async def jota_service_lost(self, service: ServiceRecord) -> None:
        """A matching service has left the LAN."""

    @hookspec
    async def jota_resolve_host(self, host: str) -> Sequence[str] | None:
        """Addresses of a name such as `greenhouse.local`; first answer wins, then the system is asked."""

    @hookspec
    async def jota_authenticate(self, credentials: Credentials) -> Principal | None:
        """Who is this? First answer wins; None passes on. Raise `Refused` to say no at once."""

    @hookspec
    async def jota_choose_backend(self, draft: TurnDraft, candidates: Sequence[str]) -> str | None:
        """Name the section that generates this turn; first answer wins, `routing:` decides last."""

    @hookspec
    async def jota_prepare_turn(self, draft: TurnDraft) -> TurnDraft | None:
        """Return a changed draft (`dataclasses.replace`) or None; each section in order."""

    @hookspec
    async def jota_health(self) -> Health | None:
        """This section's own word on itself, for `/health` and `jota doctor`."""
