"""JotaDB in one SQLite file, of which this host is the only one."""

from __future__ import annotations

from jota_core.api import PluginContext

from ..sql.database import Database
from ..urls import StoreUrl
from .database import SqliteDatabase
from .files import StoreFile


async def opened(url: StoreUrl, ctx: PluginContext) -> Database:
    """Open the file. Raises `NotReady`, `SetupFailed`, each with what to do."""
    return await SqliteDatabase.opened(StoreFile(url.path(ctx.data_dir)), ctx.log, ctx.on_close)
