"""The inference backend: what turns ask of the center, and what it says of itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from time import monotonic

from jota_core.api import (
    BackendError,
    Capabilities,
    Code,
    GenerateRequest,
    Health,
    InferenceBackend,
    ModelInfo,
    Piece,
    PluginContext,
    Progress,
)

from .composing import estimate
from .connection import Connection
from .errors import lost
from .link import Link
from .models import FarModels
from .pool import busy
from .prompting import Again, answer
from .settings import InferenceSettings

SETUP_S = 3.0
"""`jota_setup` waits so long to know whether the center is there; the link goes on trying behind it."""
STILL_WAITING_S = 2.0
"""A turn that waits for a session says so this often, so as not to be taken for stalled."""
USUAL_CONTEXT = 4096
"""Of the C++ center, which does not apply the context that its models are listed with."""
COUNT_S = 5.0
TRIES = 2
"""A prompt is sent again when the center did not know its session, or knows no contexts at all."""


class FarBackend(InferenceBackend):
    """One section's center. Nothing of it exists before `open`."""

    def __init__(self, settings: InferenceSettings) -> None:
        self._settings = settings
        self._link: Link | None = None
        self._models: FarModels | None = None
        self._log = logging.getLogger(__name__)

    @property
    def available(self) -> bool:
        return self._link is not None and self._link.connection is not None

    @property
    def capabilities(self) -> Capabilities:
        connection = self._link.connection if self._link else None
        features = connection.peer.features if connection else frozenset()
        return Capabilities(
            self._context(features), tools=True, grammar=True, json_schema="json_schema" in features
        )

    async def open(self, context: PluginContext) -> None:
        """Connect, and keep connected from now on. A center that is not there yet is no error."""
        self._log = context.log
        self._link = Link(self._settings, context.log, self._greeted)
        context.spawn("link", self._link.keep)
        try:
            await asyncio.wait_for(self._link.tried.wait(), SETUP_S)
        except TimeoutError:
            pass  # `health` says so

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece, None]:
        connection, models = self._connected()
        if request.model:
            await models.ensure(request.model)
        for _ in range(TRIES):
            try:
                async with aclosing(self._try(connection, request)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except Again:
                continue
        raise lost()

    async def _try(self, connection: Connection, request: GenerateRequest) -> AsyncGenerator[Piece, None]:
        place = connection.pool.enter(request.conversation, background=request.background)
        try:
            while (session := await place.wait(STILL_WAITING_S)) is None:
                if monotonic() - place.since > self._settings.waiting_s:
                    raise busy("all its sessions are at work")
                yield Progress(0, 0)
            window = self.capabilities.context_window
            async with aclosing(answer(connection, session, request, window)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            connection.pool.leave(place)

    async def models(self) -> Sequence[ModelInfo]:
        return await self._connected()[1].all()

    async def load(self, model_id: str) -> None:
        await self._connected()[1].load(model_id)

    async def unload(self, model_id: str) -> None:
        await self._connected()[1].unload(model_id)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        connection, _ = self._connected()
        if not texts:
            return []
        size = sum(map(len, texts)) * 4
        if "count_tokens" not in connection.peer.features or size > connection.peer.frame_bytes:
            return [estimate(text) for text in texts]
        told = await connection.ask("count_tokens", limit_s=COUNT_S, texts=list(texts))
        counts = told.get("counts")
        if not (isinstance(counts, list) and len(counts) == len(texts)):
            raise BackendError(Code.INTERNAL, "The Inference Center did not count what it was asked to.")
        return [int(count) for count in counts]

    def health(self) -> Health:
        """Whether there is a connection, and what goes on over it."""
        connection = self._link.connection if self._link else None
        if self._link is None or connection is None:
            return Health(False, self._link.trouble if self._link else "It has not been tried yet.")
        loaded = self._models.loaded if self._models else None
        model = (loaded.id if loaded else connection.pool.model) or "its model"
        return Health(True, f"{model} at {self._settings.url}, {connection.pool}.")

    async def _greeted(self, connection: Connection) -> None:
        """A new connection: learn what the center can do before the first turn asks."""
        self._models = models = FarModels(connection)
        try:
            await models.all()
        except BackendError as error:
            self._log.warning("The Inference Center did not list its models: %s", error.sentence)

    def _context(self, features: frozenset[str]) -> int:
        """Tokens that the center's model holds."""
        loaded = self._models.loaded if self._models else None
        told = loaded.context_window if loaded and "count_tokens" in features else None
        return self._settings.context or told or USUAL_CONTEXT

    def _connected(self) -> tuple[Connection, FarModels]:
        connection = self._link.connection if self._link else None
        if connection is None or self._models is None:
            why = self._link.trouble if self._link else ""
            raise BackendError(Code.BACKEND_UNAVAILABLE, f"The Inference Center is not there. {why}", 2.0)
        return connection, self._models
