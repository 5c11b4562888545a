"""What turns are made of: handed in by the host, shared by all sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol, TypeVar

from jota_core.api import (
    BackendError,
    Code,
    Credentials,
    InferenceBackend,
    MemoryStore,
    MemoryStoreError,
    Principal,
    Sampling,
    StoreUsed,
    TurnDraft,
    turn_under_way,
)

from .bus import Bus
from .routing import Routing
from .tools import Toolbox
from .voices import HostSpeech, HostTranscription

T = TypeVar("T")


class Hooks(Protocol):
    """The hooks that a turn asks; the dispatcher answers them."""

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        """Who is this? None when nobody knows."""

    async def choose_backend(self, draft: TurnDraft, candidates: Sequence[str]) -> str | None:
        """The section that generates, or None to leave it to `routing:`."""

    async def prepare_turn(self, draft: TurnDraft) -> TurnDraft:
        """The draft after every plugin has seen it."""


class Limits(Protocol):
    """Bounds of sessions and turns; seconds, bytes, counts."""

    max_sessions: int
    queue_limit: int
    max_text_bytes: int
    first_token_s: float
    between_tokens_s: float
    checkpoint_s: float
    store_timeout_s: float
    tool_rounds: int
    utterance_s: float
    history_messages: int
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class Assistant:
    """Who the model is told to be."""

    system_prompt: str
    clock: bool = True
    sampling: Sampling = Sampling()


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a turn needs, by section name and in the order of routing."""

    memories: Mapping[str, MemoryStore]
    routing: Routing
    transcription: HostTranscription
    speech: HostSpeech
    tools: Toolbox
    hooks: Hooks
    bus: Bus
    limits: Limits
    assistant: Assistant

    @property
    def memory(self) -> MemoryStore:
        """The first memory that can be asked. Raises `MemoryStoreError`."""
        for memory in self.memories.values():
            if memory.available:
                return memory
        raise MemoryStoreError(
            Code.MEMORY_UNAVAILABLE,
            "There is no memory to write to now, so nothing was accepted. What to do is in /health.",
            retry_after_s=2.0,
        )

    async def choose_backend(self, draft: TurnDraft) -> tuple[str, InferenceBackend]:
        """The backend for a turn: the hooks' choice, else what `routing:` says."""
        candidates = self.routing.available()
        if not candidates:
            raise BackendError(
                Code.BACKEND_UNAVAILABLE,
                "No language model is available now; the message is kept. Try again in a moment.",
                retry_after_s=2.0,
            )
        chosen = await self.hooks.choose_backend(draft, candidates)
        name = chosen if chosen in candidates else self.routing.choose(str(draft.conversation_id), candidates)
        return name, self.routing.backends[name]

    async def stored(self, operation: str, work: Awaitable[T]) -> T:
        """What the memory answers, within its time limit. Raises `MemoryStoreError`."""
        limit, began, is_ok = self.limits.store_timeout_s, monotonic(), False
        try:
            async with asyncio.timeout(limit):
                answer = await work
            is_ok = True
            return answer
        except TimeoutError:
            sentence = f"The memory did not answer within {limit:g} s. Try again in a moment."
            raise MemoryStoreError(Code.MEMORY_UNAVAILABLE, sentence, retry_after_s=2.0) from None
        finally:
            self.bus.publish(StoreUsed(turn_under_way.get(), operation, monotonic() - began, is_ok))
