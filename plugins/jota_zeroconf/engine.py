"""One multicast DNS engine: browses, announces and resolves on the addresses that the machine has now."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Sequence

from zeroconf import IPVersion, ServiceStateChange, Zeroconf
from zeroconf._services.info import AddressResolver
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from jota_core.api import Lan, ServiceRecord, TaskOwner

from .records import DOMAIN, best_first, record_of

ASK_MS = 3000
"""A service that was named has so long to tell its address."""
MOST_QUESTIONS = 64
"""Services that are asked at once; on a LAN with more, somebody makes noise."""
MOST = 1000
"""Services that are known; more are noise."""
UNSEEN_S = 10.0
"""What was there before the addresses changed has so long to be seen again."""
Known = dict[tuple[str, str], ServiceRecord]
log = logging.getLogger(__name__)


class Engine:
    """Bound to some addresses until it is closed."""

    def __init__(
        self, lan: Lan, addresses: Sequence[str], dropped: Counter[str], known: Known | None = None
    ) -> None:
        self.addresses = tuple(addresses)
        self.zeroconf = AsyncZeroconf(interfaces=list(addresses), ip_version=_version(addresses))
        self._lan = lan
        self._dropped = dropped
        self._tasks = TaskOwner("zeroconf")
        self.known = known or {}
        """What is there now, by type and name; at first what an engine before this one has seen."""
        self._unseen = set(self.known)
        self._asked: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._browser: AsyncServiceBrowser | None = None
        self._announced: dict[str, AsyncServiceInfo] = {}

    def browse(self, kinds: Sequence[str]) -> None:
        """Tell the LAN registry of every service of these types."""
        if kinds:
            types = [f"{kind}{DOMAIN}" for kind in kinds]
            self._browser = AsyncServiceBrowser(self.zeroconf.zeroconf, types, handlers=[self._changed])
        self._tasks.start("forget", self._forget_unseen())

    async def _forget_unseen(self) -> None:
        """What only the engine before has seen is gone, when it does not show up here."""
        await asyncio.sleep(UNSEEN_S)
        for key in self._unseen & self.known.keys():
            self._lan.gone(self.known.pop(key))

    def _changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        if state_change is ServiceStateChange.Removed:
            self._removed((service_type, name))
            return
        info = AsyncServiceInfo(service_type, name)
        if info.load_from_cache(zeroconf):
            self._take(info)
        elif len(self._tasks) < MOST_QUESTIONS:
            self._asked[service_type, name] = self._tasks.start(f"ask {name}", self._ask(info))
        else:
            self._dropped["too many at once"] += 1

    def _removed(self, key: tuple[str, str]) -> None:
        if asking := self._asked.pop(key, None):
            asking.cancel()  # its answer would be of something that has left
        if known := self.known.pop(key, None):
            self._lan.gone(known)

    async def _ask(self, info: AsyncServiceInfo) -> None:
        if await info.async_request(self.zeroconf.zeroconf, ASK_MS):
            self._take(info)
        else:
            self._dropped["no answer"] += 1
        self._asked.pop((info.type, info.name), None)

    def _take(self, info: AsyncServiceInfo) -> None:
        key = (info.type, info.name)
        try:
            record = record_of(info)
        except ValueError as error:
            self._dropped[str(error)] += 1
            log.debug("Dropped %r: %s.", info.name, error)
            return
        was = self.known.get(key)
        if was is None and len(self.known) >= MOST:
            self._dropped["too many"] += 1
            return
        if was is not None and was.id != record.id:
            self._lan.gone(was)
        self.known[key] = record
        self._unseen.discard(key)
        self._lan.seen(record)

    async def announce(self, wanted: Sequence[AsyncServiceInfo]) -> None:
        """Announce these services and no others; raises what zeroconf raises."""
        new = {info.name: info for info in wanted}
        for name in [*self._announced]:
            if name not in new:
                await _done(self.zeroconf.async_unregister_service(self._announced.pop(name)))
        for name, info in new.items():
            if (was := self._announced.get(name)) is None:
                self._announced[name] = info
                # Not strict: `jota-transcription` is longer than the 15 bytes of RFC 6763, 7.2.
                registering = self.zeroconf.async_register_service(
                    info, cooperating_responders=True, strict=False
                )
                await _done(registering)
            elif (was.text, was.port, was.addresses) != (info.text, info.port, info.addresses):
                self._announced[name] = info
                await _done(self.zeroconf.async_update_service(info))

    async def resolve(self, host: str) -> Sequence[str]:
        """Addresses of a name in `.local`; none when nobody answers in time."""
        resolver = AddressResolver(f"{host.rstrip('.')}.")
        if not resolver.load_from_cache(self.zeroconf.zeroconf):
            await resolver.async_request(self.zeroconf.zeroconf, ASK_MS)
        return best_first(resolver.parsed_scoped_addresses())

    async def close(self, *, forget: bool) -> None:
        """Say goodbye for all that was announced; with `forget` for all that was seen as well."""
        try:
            await self.announce(())
        finally:
            if self._browser is not None:
                await self._browser.async_cancel()
            await self._tasks.close()
            await self.zeroconf.async_close()
        while forget and self.known:
            self._lan.gone(self.known.popitem()[1])


async def _done(work: Awaitable[Awaitable[object]]) -> None:
    """Zeroconf's calls return a task that sends; without waiting for it no goodbye is sent."""
    await (await work)


def _version(addresses: Sequence[str]) -> IPVersion:
    has = {":" in each for each in addresses}
    return IPVersion.All if len(has) > 1 else IPVersion.V6Only if True in has else IPVersion.V4Only
