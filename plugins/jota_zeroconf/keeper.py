"""Keeps the engine on the addresses of the machine, and its announcements true."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from jota_core.api import Lan, LanOffer

from .identity import machine_name, own_id
from .settings import ZeroconfSettings

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncServiceInfo

    from .engine import Engine, Known

LOOK_S = 0.25
"""Doors are looked at so often,"""
ADDRESSES_S = 1.0
"""and the addresses of this machine."""
LOAD_S = 5.0
"""A change of load alone is told so often at most."""
RETRY_S = 5.0
log = logging.getLogger(__name__)


class Keeper:
    """Runs until cancelled."""

    def __init__(self, settings: ZeroconfSettings, lan: Lan, data: Path) -> None:
        self.host = settings.name or machine_name()
        self.own_id = own_id(data / "lan-id")
        self.dropped: Counter[str] = Counter()
        self.trouble = "It has not looked around yet."
        self.is_alone = True
        """Whether there is no LAN at all, which is no fault."""
        self._settings = settings
        self._lan = lan
        self._engine: Engine | None = None
        self._known: Known = {}
        self._told: list[LanOffer] = []
        self._load_at = 0.0
        self._looked_at = -ADDRESSES_S
        self._is_leaving = False
        self._announcing = asyncio.Lock()
        """A goodbye comes after what is being announced, not in the middle of it."""

    async def keep(self) -> None:
        """Look around; follow the machine through changes of its addresses."""
        from zeroconf import Error

        try:
            while True:
                try:
                    await self._look()
                except (OSError, Error) as error:
                    self.is_alone = False
                    why = str(error) or type(error).__name__
                    self._trouble(f"Multicast DNS does not work here: {why}. It is tried again every 5 s.")
                    await self._close_engine(forget=False)
                    await asyncio.sleep(RETRY_S)
                await asyncio.sleep(LOOK_S)
        finally:
            await self._close_engine(forget=False)

    async def leave(self) -> None:
        """Say goodbye for everything: nobody shall come any more."""
        self._is_leaving = True
        if self._engine is not None:
            async with self._announcing:
                log.info("Saying goodbye to the LAN.")
                await self._engine.announce(())

    async def resolve(self, host: str) -> Sequence[str] | None:
        """Addresses of a name in `.local`."""
        return await self._engine.resolve(host) if self._engine else None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it looks around now."""
        return self._engine.addresses if self._engine else ()

    @property
    def announced(self) -> list[LanOffer]:
        """What others are told of: what they can reach."""
        from .addresses import reachable

        return [offer for offer in self._told if reachable(offer, self.addresses)]

    async def _look(self) -> None:
        if self._engine is None or monotonic() - self._looked_at >= ADDRESSES_S:
            await self._follow()
        if self._engine is not None:
            await self._announce()

    async def _follow(self) -> None:
        """Have an engine on the addresses that the machine has now."""
        from .addresses import own_addresses

        self._looked_at = monotonic()
        addresses = own_addresses(self._settings.interfaces)
        if self._engine is not None and self._engine.addresses != addresses:
            log.info("The addresses of this machine have changed: %s.", ", ".join(addresses) or "none")
            await self._close_engine(forget=not addresses)
        if not addresses:
            self.is_alone = True
            self._trouble("This machine has no address on a LAN; it looks again every second.")
        elif self._engine is None:
            await self._open_engine(addresses)

    async def _open_engine(self, addresses: Sequence[str]) -> None:
        from .engine import Engine

        self._engine = Engine(self._lan, addresses, self.dropped, self._known)
        self._engine.browse(sorted(self._lan.wanted))
        self.trouble = ""
        log.info("Looking around on %s as %s.local (%s).", ", ".join(addresses), self.host, self.own_id)

    async def _close_engine(self, *, forget: bool) -> None:
        engine, self._engine, self._told = self._engine, None, []
        if engine is not None:
            await engine.close(forget=forget)
            self._known = engine.known

    async def _announce(self) -> None:
        if self._engine is None or self._is_leaving or not self._settings.announce:
            return
        offers, now = self._offers(), asyncio.get_running_loop().time()
        is_load_only = _without_load(offers) == _without_load(self._told)
        if offers == self._told or (is_load_only and now - self._load_at < LOAD_S):
            return
        self._told, self._load_at = offers, now
        if self.announced and not is_load_only:
            log.info("Announcing %s.", ", ".join(offer.kind for offer in self.announced))
        async with self._announcing:
            await self._engine.announce(() if self._is_leaving else self._infos(offers))

    def _offers(self) -> list[LanOffer]:
        also = [LanOffer(each.type, "", each.port, each.txt) for each in self._settings.also]
        offers = [*self._lan.offers(), *also]
        return [_with_hints(offer, offers) for offer in offers if offer.port]

    def _infos(self, offers: Sequence[LanOffer]) -> list[AsyncServiceInfo]:
        from .addresses import reachable
        from .records import info_of

        assert self._engine is not None
        at = [(offer, reachable(offer, self._engine.addresses)) for offer in offers]
        return [info_of(offer, self.host, self.own_id, places) for offer, places in at if places]

    def _trouble(self, sentence: str) -> None:
        if sentence != self.trouble:
            log.warning("%s", sentence)
        self.trouble = sentence


def _with_hints(offer: LanOffer, offers: Sequence[LanOffer]) -> LanOffer:
    """With what others add: offers without a port are hints for those of the same type."""
    others = [each.txt for each in offers if each.kind == offer.kind and not each.port]
    hints = {key: value for txt in others for key, value in txt.items()}
    return replace(offer, txt={**offer.txt, **hints}) if hints else offer


def _without_load(offers: Sequence[LanOffer]) -> list[LanOffer]:
    def hints(offer: LanOffer) -> dict[str, str]:
        return {key: value for key, value in offer.txt.items() if key != "load"}

    return [replace(offer, txt=hints(offer)) for offer in offers]
