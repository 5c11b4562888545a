"""Writes the ends of turns that the database could not take, as soon as it takes them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jota_core.api import MemoryStoreError, PluginContext

if TYPE_CHECKING:
    from .sql.store import SqlStore

LOOK_S = 1.0


async def keep_settling(store: SqlStore, ctx: PluginContext) -> None:
    """Run until cancelled."""
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            await store.settle()
        except MemoryStoreError as error:
            ctx.log.debug("Ends of turns wait for the memory: %s", error.sentence)
