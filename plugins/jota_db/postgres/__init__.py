"""JotaDB in PostgreSQL, which several hosts may share."""

from __future__ import annotations

from jota_core.api import PluginContext

from ..sql.database import Database
from ..urls import StoreUrl
from .database import PostgresDatabase


async def opened(url: StoreUrl, ctx: PluginContext) -> Database:
    """Connect. Raises `NotReady`, `AuthFailed`, `SetupFailed`, each with what to do."""
    return await PostgresDatabase.opened(url, ctx.log, ctx.on_close)
