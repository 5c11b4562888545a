"""Lets reminders fire: once each, at their time or as soon as a host runs again, told to every door."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from jota_core.api import MemoryStoreError, PluginContext, ReminderDue

if TYPE_CHECKING:
    from .sql.store import SqlStore

LOOK_S = 1.0


async def keep_reminding(store: SqlStore, ctx: PluginContext) -> None:
    """Run until cancelled."""
    from .sql.rows import now

    mark = now()
    while True:
        try:
            mark = await _look(store, ctx, mark)
        except MemoryStoreError as error:
            ctx.log.debug("Reminders cannot be looked for: %s", error.sentence)
        await asyncio.sleep(LOOK_S)


async def _look(store: SqlStore, ctx: PluginContext, mark: int) -> int:
    """Fire what is due, and tell what was fired since `mark`, here or by another host."""
    from .sql import reminding
    from .sql.rows import moment

    if await store.read(reminding.are_due):
        await store.change(reminding.fire)
    for entry in await store.read(partial(reminding.fired_since, mark=mark)):
        at = moment(entry["trigger_at"])
        ctx.publish(ReminderDue(entry["id"], entry["client_id"], entry["message"], at))
        mark = max(mark, entry["fired_at"])
    return mark
