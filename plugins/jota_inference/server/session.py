"""One session of a client: its context, its queue, and the generation that runs."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import orjson

from jota_core.api import (
    BackendError,
    Code,
    Delta,
    InferenceBackend,
    Piece,
    TaskOwner,
    ToolCall,
    Usage,
    follow,
)

from ..wire import failure
from .asking import ContextMessage, Infer, request_of

log = logging.getLogger(__name__)

Send = Callable[..., Awaitable[None]]
END_S = 2.0
QUEUE = 16
"""Prompts that may wait in one session."""


RESTART = BackendError(Code.SERVER_RESTART, "The Inference Center is restarting.", 2.0)


class TooMany(Exception):
    """The session's queue is full."""


@dataclass(slots=True)
class Totals:
    """What `metrics` tells of all sessions of a center."""

    active: int = 0
    last_tps: float = 0.0
    last_ttft_ms: float = 0.0
    tokens: int = 0


@dataclass(slots=True)
class Timing:
    """When one generation began and spoke."""

    began: float = field(default_factory=monotonic)
    first: float | None = None
    tokens: int = 0

    def stats(self, usage: Usage | None) -> dict[str, Any]:
        """`stats` of an `end`; the members from `prompt_tokens` on are ours."""
        now = monotonic()
        first = self.first or now
        tokens = usage.completion_tokens if usage else self.tokens
        told: dict[str, Any] = {
            "ttft_ms": round((first - self.began) * 1000),
            "total_ms": round((now - self.began) * 1000),
            "tokens": tokens,
            "tps": round(tokens / max(now - first, 1e-3), 2),
        }
        if usage:
            told |= {"prompt_tokens": usage.prompt_tokens, "cached_tokens": usage.cached_tokens}
            told |= {"finish": usage.finish}
        return told


class CenterSession:
    """Prompts are answered one after the other; each ends in exactly one `end` or `error`."""

    def __init__(self, session_id: str, inference: InferenceBackend, send: Send, totals: Totals) -> None:
        self.id = session_id
        self.context: list[ContextMessage] = []
        self._inference = inference
        self._send = send
        self._totals = totals
        self._queue: deque[tuple[Infer, list[ContextMessage]]] = deque()
        self._running: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._new = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._reason: BackendError | None = None
        """Why prompts end with an error from now on; None while they are answered."""

    @property
    def waiting(self) -> int:
        """Prompts that wait for the one before."""
        return len(self._queue)

    def start(self, tasks: TaskOwner) -> None:
        """Begin to answer; `end` stops."""
        self._task = tasks.start(self.id, self._run())

    async def drain(self, limit_s: float) -> None:
        """Take no more prompts; those that are here may end within the limit, then they are cut."""
        self._draining = True
        await self._until_idle(limit_s)
        self._reason = RESTART
        await self.abort()
        await self._until_idle(END_S)

    async def end(self) -> None:
        """Abort everything and stop."""
        await self.abort()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=END_S)

    def submit(self, infer: Infer) -> None:
        """Queue a prompt with the context as it is now. Raises `TooMany`."""
        if self._draining or len(self._queue) >= QUEUE:
            raise TooMany
        self._queue.append((infer, self.context))
        self._idle.clear()
        self._new.set()

    async def _until_idle(self, limit_s: float) -> None:
        try:
            await asyncio.wait_for(self._idle.wait(), limit_s)
        except TimeoutError:
            pass  # whoever asked goes on with what is left

    async def abort(self) -> None:
        """End what runs and what waits; each is told by an `end` of its own."""
        waiting, self._queue = list(self._queue), deque()
        if self._running is not None and not self._running.cancelling():
            self._running.cancel()  # once: a second time would cut its `end`
        for _ in waiting:
            await self._end(Timing(), None)

    async def _run(self) -> None:
        while True:
            await self._new.wait()
            self._new.clear()
            while self._queue:
                await self._one(*self._queue.popleft())
            self._idle.set()

    async def _one(self, infer: Infer, context: list[ContextMessage]) -> None:
        self._totals.active += 1
        self._running = asyncio.ensure_future(self._answer(infer, context))
        try:
            await asyncio.wait({self._running})
            if self._running.cancelled():  # before it had begun
                await self._end(Timing(), None)
        except asyncio.CancelledError:
            self._running.cancel()
            await asyncio.wait({self._running}, timeout=END_S)
            raise
        finally:
            self._totals.active -= 1
            self._running = None

    async def _answer(self, infer: Infer, context: list[ContextMessage]) -> None:
        follow(infer.turn_id)
        timing, usage = Timing(), None
        generation = self._inference.generate(request_of(infer, f"center:{self.id}", context))
        try:
            async for piece in generation:
                usage = piece if isinstance(piece, Usage) else usage
                await self._pass_on(piece, timing)
        except asyncio.CancelledError:
            pass  # aborted: it ends as every answer does, with what there was
        except BackendError as error:
            await self._send(op="error", session_id=self.id, **failure(error))
            return
        except Exception:
            log.exception("A generation of session %s failed.", self.id)
            await self._send(op="error", session_id=self.id, error="Internal server error")
            return
        finally:
            await _closed(generation)
        await self._end(timing, usage)

    async def _pass_on(self, piece: Piece, timing: Timing) -> None:
        if isinstance(piece, Delta):
            await self._token(timing, piece.text, piece.kind)
        elif isinstance(piece, ToolCall):
            call = {"id": piece.id, "name": piece.name, "arguments": dict(piece.arguments)}
            await self._token(timing, orjson.dumps(call).decode(), "tool_call")

    async def _token(self, timing: Timing, text: str, kind: str) -> None:
        timing.first = timing.first or monotonic()
        timing.tokens += 1
        await self._send(op="token", session_id=self.id, content=text, type=kind)

    async def _end(self, timing: Timing, usage: Usage | None) -> None:
        if self._reason is not None:
            await self._send(op="error", session_id=self.id, **failure(self._reason))
            return
        stats = timing.stats(usage)
        self._totals.last_tps, self._totals.last_ttft_ms = stats["tps"], stats["ttft_ms"]
        self._totals.tokens += stats["tokens"]
        log.info("Answered session %s: %d tokens, %d ms in all.", self.id, stats["tokens"], stats["total_ms"])
        model = {"model_id": usage.model} if usage and usage.model else {}
        await self._send(op="end", session_id=self.id, stats=stats, **model)


async def _closed(generation: AsyncIterator[Piece]) -> None:
    close = getattr(generation, "aclose", None)
    if close is not None:
        await close()
