"""The inference backend: what turns ask of the engine, and what it says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from jota_core.api import (
    Capabilities,
    GenerateRequest,
    Health,
    InferenceBackend,
    ModelInfo,
    Piece,
    PluginContext,
)

from .keeper import EngineKeeper
from .models.catalogue import STARTER, better_model_advice, named
from .models.library import Installed
from .settings import LlamaSettings


class LlamaBackend(InferenceBackend):
    """One section's engine. Nothing of it exists before `open`."""

    def __init__(self, settings: LlamaSettings) -> None:
        self._settings = settings
        self._keeper = EngineKeeper(settings)

    @property
    def available(self) -> bool:
        return self._keeper.available

    @property
    def capabilities(self) -> Capabilities:
        if self._keeper.engine is not None:
            return self._keeper.engine.capabilities
        return Capabilities(self._settings.context, grammar=True, json_schema=True)

    async def open(self, context: PluginContext) -> None:
        """Load the model and keep it up from now on. Raises `NotReady`."""
        await self._keeper.open(context)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece, None]:
        engine = await self._keeper.engine_for(request.model)
        async with aclosing(engine.generate(request)) as pieces:
            async for piece in pieces:
                yield piece

    async def models(self) -> Sequence[ModelInfo]:
        if self._keeper.library is None:
            return []
        found = {model.path: model for model in await asyncio.to_thread(self._keeper.library.installed)}
        loaded = self._keeper.loaded
        if loaded is not None:
            found.setdefault(loaded.path, loaded)
        return [self._info(model, loaded) for model in found.values()]

    async def load(self, model_id: str) -> None:
        await self._keeper.load(model_id)

    async def unload(self, model_id: str) -> None:
        await self._keeper.unload(model_id)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return await (await self._keeper.engine_for(None)).count_tokens(texts)

    def health(self) -> Health:
        """What is loaded, or why nothing is."""
        engine = self._keeper.engine
        hint = better_model_advice() if engine is not None and engine.model.name == STARTER else ""
        if self._keeper.asleep:
            return Health(ok=True, detail="No model is loaded; the next turn loads it.", hint=hint)
        if engine is None or not self.available:
            return Health(ok=False, detail=self._keeper.trouble, hint=hint)
        detail = (
            f"{engine.model.name}, {engine.plan.parallel} answers at once, {engine.plan.context} tokens each."
        )
        slots = engine.slots
        return Health(True, detail, hint, slots.running, slots.waiting)

    def _info(self, model: Installed, loaded: Installed | None) -> ModelInfo:
        known = named(model.name)
        here = model == loaded
        return ModelInfo(
            id=model.name,
            name=known.title if known else model.name,
            loaded=here,
            context_window=self.capabilities.context_window if here else None,
            size_bytes=model.size,
            description=known.note if known else None,
        )
