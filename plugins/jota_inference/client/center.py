"""One center: what turns ask of it, and what it says of itself."""

from __future__ import annotations

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
    ModelInfo,
    Piece,
    Progress,
    ServiceRecord,
)

from .composing import estimate
from .connection import Connection
from .errors import lost
from .link import Link
from .models import FarModels
from .pool import busy
from .prompting import Again, answer
from .settings import InferenceSettings
from .where import Where

STILL_WAITING_S = 2.0
"""A turn that waits for a session says so this often, so as not to be taken for stalled."""
USUAL_CONTEXT = 4096
"""Of the C++ center, which does not apply the context that its models are listed with."""
COUNT_S = 5.0
SUSPECT_S = 10.0
TRIES = 2
"""A prompt is sent again when the center did not know its session, or knows no contexts at all."""


class Center:
    """Another machine that generates, for as long as it is there."""

    def __init__(self, settings: InferenceSettings, where: Where, log: logging.Logger) -> None:
        self.link = Link(settings, where, log, self._greeted)
        self.running = 0
        """Our generations that are under way there."""
        self._silent_at = -SUSPECT_S
        self._settings = settings
        self._where = where
        self._models: FarModels | None = None
        self._log = log

    @property
    def available(self) -> bool:
        """Whether it is connected."""
        return self.link.connection is not None

    @property
    def record(self) -> ServiceRecord | None:
        """What it announced; None for a URL."""
        return self._where.record

    @property
    def load(self) -> float:
        """Work under way there, as far as we know."""
        return max(self.record.load if self.record else 0.0, float(self.running))

    @property
    def is_suspect(self) -> bool:
        """Whether it left an answer unfinished just now, without a word."""
        return monotonic() - self._silent_at < SUSPECT_S

    def fell_silent(self) -> None:
        """An answer from there was given up."""
        self._silent_at = monotonic()

    @property
    def capabilities(self) -> Capabilities:
        """What it can do with the model it has."""
        connection = self.link.connection
        features = connection.peer.features if connection else frozenset()
        return Capabilities(
            self._context(features), tools=True, grammar=True, json_schema="json_schema" in features
        )

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece, None]:
        """See `InferenceBackend`."""
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
        """See `InferenceBackend`."""
        return await self._connected()[1].all()

    async def load_model(self, model_id: str) -> None:
        """See `InferenceBackend.load`."""
        await self._connected()[1].load(model_id)

    async def unload(self, model_id: str) -> None:
        """See `InferenceBackend`."""
        await self._connected()[1].unload(model_id)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `InferenceBackend`."""
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
        connection = self.link.connection
        if connection is None:
            return Health(False, self.link.trouble)
        loaded = self._models.loaded if self._models else None
        model = (loaded.id if loaded else connection.pool.model) or "its model"
        pool = connection.pool
        return Health(True, f"{model} at {self.link.url}, {pool}.", "", pool.busy, pool.waiting)

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
        connection = self.link.connection
        if connection is None or self._models is None:
            why = f"The Inference Center is not there. {self.link.trouble}"
            raise BackendError(Code.BACKEND_UNAVAILABLE, why, 2.0)
        return connection, self._models
