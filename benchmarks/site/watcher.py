"""A plugin that answers every hook of a turn, as five well-meaning plugins of a real home would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jota_core.api import (
    Credentials,
    Health,
    Plugin,
    PluginContext,
    Principal,
    Settings,
    TurnDraft,
    TurnFinished,
    hookimpl,
)


class Watcher(Plugin[Settings]):
    """Has a look at everything and adds a line to every turn."""

    turns = 0

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        ctx.subscribe(TurnFinished, self._count)

    def _count(self, _: TurnFinished) -> None:
        self.turns += 1

    @hookimpl
    async def jota_authenticate(self, credentials: Credentials) -> Principal | None:
        return None

    @hookimpl
    async def jota_choose_backend(self, draft: TurnDraft, candidates: Sequence[str]) -> str | None:
        return None

    @hookimpl
    async def jota_prepare_turn(self, draft: TurnDraft) -> TurnDraft | None:
        return replace(draft, notes=(*draft.notes, "The boiler is warm."))

    @hookimpl
    async def jota_health(self) -> Health | None:
        return Health(True, f"{self.turns} turns")
