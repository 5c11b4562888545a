"""The inference backend: the one center of a URL, or all that were found on the LAN."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import chain
from time import monotonic

from jota_core.api import (
    BackendError,
    Capabilities,
    Code,
    Destination,
    Far,
    GenerateRequest,
    Health,
    InferenceBackend,
    ModelInfo,
    Piece,
    PluginContext,
    ServiceRecord,
)

from .center import Center
from .settings import InferenceSettings
from .where import Where

SETUP_S = 3.0
"""`jota_setup` waits so long to know whether the center is there; the link goes on trying behind it."""
REMEMBERED = 4096
"""Conversations whose place is remembered; the least used are forgotten."""
SILENT_S = 2.0
"""A center whose answer was given up after so much silence is asked last for a while."""
MOST = 64
"""Centers that are kept connected; a LAN with more has somebody who makes them up."""
NOTHING = Capabilities(4096, tools=True, grammar=True)


class FarBackend(InferenceBackend):
    """One section's centers. None exists before `open`."""

    def __init__(self, settings: InferenceSettings, far: Far) -> None:
        self.destination = Destination(far)
        self._settings = settings
        self._context: PluginContext | None = None
        self._centers: dict[tuple[str, str], Center] = {}
        self._warm: OrderedDict[str, Center] = OrderedDict()

    async def open(self, context: PluginContext) -> None:
        """Connect, and keep connected from now on. A center that is not there yet is no error."""
        self._context, self._centers = context, {}
        context.on_close(self._closed)
        if self.destination.far.is_discovered:
            return
        center = self._add(Where(self.destination, context.lan.resolve))
        try:
            await asyncio.wait_for(center.link.tried.wait(), SETUP_S)
        except TimeoutError:
            pass  # `health` says so

    async def found(self, record: ServiceRecord) -> None:
        """A center is on the LAN, or has changed."""
        self.destination.found(record)
        center = self._centers.get((record.id, record.name))
        if center is not None:
            center.link.moved(record)
        elif self._context is not None and len(self._centers) < MOST:
            self._add(Where(self.destination, self._context.lan.resolve, record))

    async def lost(self, record: ServiceRecord) -> None:
        """It has left: its running answers may end, new ones go elsewhere if they can."""
        self.destination.lost(record)
        if center := self._centers.get((record.id, record.name)):
            center.link.leave()

    @property
    def available(self) -> bool:
        return any(center.available for center in self._centers.values())

    @property
    def capabilities(self) -> Capabilities:
        able = self._able()
        return able[0].capabilities if able else NOTHING

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece, None]:
        center = await self._choose(request)
        self._warm[request.conversation] = center
        self._warm.move_to_end(request.conversation)
        if len(self._warm) > REMEMBERED:
            self._warm.popitem(last=False)
        center.running += 1
        heard_at, is_over = monotonic(), False
        try:
            async with aclosing(center.generate(request)) as pieces:
                async for piece in pieces:
                    heard_at = monotonic()
                    yield piece
            is_over = True
        finally:
            center.running -= 1
            if not is_over and monotonic() - heard_at > SILENT_S:
                center.fell_silent()

    async def models(self) -> Sequence[ModelInfo]:
        """Those of all centers that tell; of two with one id the first counts."""
        present = self._present()
        if len(present) == 1:
            return await present[0].models()
        known: dict[str, ModelInfo] = {}
        told = await asyncio.gather(*map(_models, present))
        for model in chain.from_iterable(told):
            known.setdefault(model.id, model)
        return list(known.values())

    async def load(self, model_id: str) -> None:
        await (await self._having(model_id)).load_model(model_id)

    async def unload(self, model_id: str) -> None:
        await (await self._having(model_id)).unload(model_id)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return await self._present()[0].count_tokens(texts)

    def health(self) -> Health:
        """Who is connected, and what goes on there; why nobody is."""
        found = [center.health() for center in self._centers.values()]
        if not found:
            return Health(False, self.destination.nobody)
        well = [each for each in found if each.ok]
        hint = "" if well else self.destination.advice
        running, waiting = sum(each.running for each in well), sum(each.waiting for each in well)
        return Health(bool(well), " ".join(each.detail for each in well or found), hint, running, waiting)

    def _add(self, where: Where) -> Center:
        context = self._context
        assert context is not None
        center = Center(self._settings, where, context.log)
        key = where.key
        self._centers[key] = center

        async def keep() -> None:
            await center.link.keep()
            if self._centers.get(key) is center:
                del self._centers[key]

        context.spawn(f"link {key[1]}".strip(), keep)
        return center

    def _able(self) -> list[Center]:
        """Who is connected, the best first: who is not leaving, then by load."""
        able = [center for center in self._centers.values() if center.available]
        return sorted(able, key=lambda each: (each.link.is_leaving, each.is_suspect, each.load))

    def _present(self) -> list[Center]:
        """As `_able`. Raises `BackendError` when there is nobody."""
        if able := self._able():
            return able
        raise BackendError(
            Code.BACKEND_UNAVAILABLE, f"The Inference Center is not there. {self.health().detail}", 2.0
        )

    async def _choose(self, request: GenerateRequest) -> Center:
        """Where the conversation is warm, else the least loaded; one that has the model, if any has."""
        able = self._present()
        if len(able) > 1 and request.model:
            having = [each for each in able if await _has(each, request.model)]
            able = having or able
        warm = self._warm.get(request.conversation)
        if warm in able and not (warm.link.is_leaving or warm.is_suspect):
            return warm
        return able[0]

    async def _having(self, model_id: str) -> Center:
        able = self._present()
        for center in able:
            if len(able) > 1 and await _has(center, model_id):
                return center
        return able[0]

    async def _closed(self) -> None:
        self._context, self._centers = None, {}
        self._warm.clear()


async def _has(center: Center, model_id: str) -> bool:
    return any(model.id == model_id for model in await _models(center))


async def _models(center: Center) -> Sequence[ModelInfo]:
    """None of one that does not tell: others may have some."""
    try:
        return await center.models()
    except BackendError:
        return ()
