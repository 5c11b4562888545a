"""`/records`: what plugins of another Jota keep. Ours only; `GET /health` tells the feature `records`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from ..rules import HIGHEST
from .fields import Body, JsonObject
from .routes import Call, Route


class Kept(Body):
    """A record's value; null forgets it."""

    value: JsonObject | None
    version: Annotated[int, Field(ge=0, le=HIGHEST)] | None = None
    """Only while the record still has this version; 0: while there is none."""


async def list_(call: Call) -> Any:
    """See `MemoryStore.records`."""
    return [asdict(each) for each in await call.store.records(call.path["collection"])]


async def save(call: Call) -> Any:
    """See `MemoryStore.save_record`."""
    place = call.path["collection"], call.path["key"]
    kept = await call.store.save_record(*place, call.body.value, version=call.body.version)
    return asdict(kept) if kept is not None else None


ROUTES = [
    Route("GET", "/records/{collection}", list_, "What is kept under a name", "service"),
    Route("PUT", "/records/{collection}/{key}", save, "Keep or forget a record", "service", body=Kept),
]
