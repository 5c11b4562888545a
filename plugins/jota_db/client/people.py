"""Who is who, asked of the server and remembered for when it is away."""

from __future__ import annotations

import time
from collections import OrderedDict
from time import monotonic
from typing import Any

from jota_core.api import Code, Credentials, MemoryStoreError, Principal

from ..people.authenticator import ROLES, SPEAKS_FOR_ITSELF
from .replay import Replay
from .spool import Spool
from .wire import Away, Wire

KNOWN_S = 5.0
"""A revoked key works for so long still, and while the server is away."""
OUTAGE_S = 24 * 3600.0
"""Whom the server has known within this time is let in while it is away."""
MOST = 4096


class FarPeople:
    """Answers `jota_authenticate` and knows preferences."""

    def __init__(self, wire: Wire, spool: Spool, replay: Replay) -> None:
        self._wire = wire
        self._spool = spool
        self._replay = replay
        self._known: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._extras: OrderedDict[str, tuple[float, str | None]] = OrderedDict()

    async def principal(self, credentials: Credentials) -> Principal | None:
        """Who this is; None for an unknown key. Raises `MemoryStoreError` when it cannot be told."""
        key = credentials.key
        if not key:
            return None
        until, told = self._known.get(key, (0.0, None))
        if until < monotonic():
            told = await self._asked(key)
            _keep(self._known, key, (monotonic() + KNOWN_S, told))
        if told is None or told["kind"] not in ROLES:
            return None
        owner = told["id"] if told["kind"] in SPEAKS_FOR_ITSELF else credentials.user_id or told["id"]
        return Principal(owner, ROLES[told["kind"]])

    async def prompt_extra(self, owner: str) -> str | None:
        """What the assistant is told about this client; None while nobody can tell."""
        until, told = self._extras.get(owner, (0.0, None))
        if until < monotonic() and self._replay.is_direct:
            try:
                config = await self._wire.ask("GET", "/config/me", owner=owner)
                told = config.get("system_prompt_extra")
            except MemoryStoreError:
                pass  # as it was
            _keep(self._extras, owner, (monotonic() + 30.0, told))
        return told

    async def _asked(self, key: str) -> Any:
        try:
            told = await self._wire.ask("GET", "/auth/validate", key=key, again=True)
        except Away as error:
            self._replay.lost(error.sentence)
            told = await self._spool.known(key, time.time() - OUTAGE_S)
            if told is None:
                raise
            return told
        except MemoryStoreError as error:
            if error.code is Code.BUSY:  # nothing was said about this key
                raise
            await self._spool.forget(key)
            return None
        await self._spool.remember(key, told, time.time())
        return told


def _keep(known: OrderedDict[str, Any], key: str, value: object) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > MOST:
        known.popitem(last=False)
