"""The inference of this host as one backend, for doors that offer it to others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from time import monotonic

from jota_core.api import (
    BackendError,
    Capabilities,
    Code,
    Delta,
    GenerateRequest,
    GenerationFinished,
    InferenceBackend,
    ModelInfo,
    Piece,
    Usage,
    turn_under_way,
)

from .bus import Bus
from .cutter import closing
from .models import Models
from .parts import Limits
from .routing import Routing


@dataclass(slots=True)
class Tally:
    """What one generation comes to."""

    backend: str
    outcome: str = "aborted"
    began: float = field(default_factory=monotonic)
    first: float | None = None
    tokens: int = 0

    def count(self, piece: Piece) -> None:
        """One piece more."""
        if isinstance(piece, Delta):
            self.first = self.first or monotonic()
            self.tokens += 1
        elif isinstance(piece, Usage):
            self.tokens = piece.completion_tokens

    def fact(self) -> GenerationFinished:
        """For observers."""
        ttft_ms = None if self.first is None else 1000 * (self.first - self.began)
        total_ms = 1000 * (monotonic() - self.began)
        return GenerationFinished(
            turn_under_way.get(), self.backend, self.tokens, ttft_ms, total_ms, self.outcome
        )


NOBODY = "No language model is available now. Try again in a moment."


class HostInference(InferenceBackend):
    """Passes on to whoever `routing:` chooses; a generation ends where it began."""

    def __init__(self, routing: Routing, models: Models, limits: Limits, bus: Bus) -> None:
        self._routing = routing
        self._models = models
        self._limits = limits
        self._bus = bus

    @property
    def available(self) -> bool:
        return bool(self._routing.available())

    @property
    def capabilities(self) -> Capabilities:
        names = self._routing.available() or list(self._routing.backends)
        return self._routing.backends[names[0]].capabilities if names else Capabilities(0)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece, None]:
        name = self._routing.choose(request.conversation, self._available())
        tally = Tally(name)
        try:
            with self._routing.running(name, request.conversation):
                async with closing(self._routing.backends[name].generate(request)) as pieces:
                    limit_s = self._limits.first_token_s
                    while (piece := await self._next(pieces, limit_s)) is not None:
                        tally.count(piece)
                        if isinstance(piece, Delta):
                            limit_s = self._limits.between_tokens_s
                        yield piece
            tally.outcome = "complete"
        except BackendError as error:
            tally.outcome = error.code
            raise
        finally:
            self._bus.publish(tally.fact())

    async def _next(self, pieces: AsyncIterator[Piece], limit_s: float) -> Piece | None:
        """The next piece, None after the last; one that does not come in time is `stalled`."""
        try:
            async with asyncio.timeout(limit_s):
                return await anext(pieces, None)
        except TimeoutError:
            raise BackendError(
                Code.STALLED, f"The language model was silent for {limit_s:g} s and was stopped.", 2.0
            ) from None

    async def models(self) -> Sequence[ModelInfo]:
        return await self._models.all()

    async def load(self, model_id: str) -> None:
        await self._models.load(model_id)

    async def unload(self, model_id: str) -> None:
        await self._models.unload(model_id)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return await self._routing.backends[self._available()[0]].count_tokens(texts)

    def _available(self) -> list[str]:
        names = self._routing.available()
        if not names:
            raise BackendError(Code.BACKEND_UNAVAILABLE, NOBODY, retry_after_s=2.0)
        return names
