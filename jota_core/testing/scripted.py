"""A scripted backend: says what the test wrote down, fails and hangs where it is told to.

It is declared as scripted everywhere it shows up (model id `scripted`), so that nobody takes its
answers for a model's words.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from jota_core.api import (
    BackendError,
    Capabilities,
    Code,
    Delta,
    GenerateRequest,
    InferenceBackend,
    ModelInfo,
    Piece,
    Progress,
    ToolCall,
    Usage,
)

from .waiting import until


@dataclass(frozen=True, slots=True)
class Script:
    """One answer as the test wants it. Positions count the pieces, 0 is before the first."""

    pieces: str | Sequence[str | Delta | ToolCall | Progress]
    """A plain string is sent word by word."""
    first_s: float = 0.0
    """Seconds before the first piece."""
    between_s: float = 0.0
    """Seconds before each further piece."""
    fail_at: int | None = None
    """Raise `error` instead of this piece."""
    hang_at: int | None = None
    """Wait for ever instead of sending this piece."""
    error: BackendError | None = None
    """What `fail_at` raises; None is `upstream_lost`."""

    def parts(self) -> list[Piece]:
        """The pieces as a backend yields them."""
        said = re.findall(r"\S+\s*", self.pieces) if isinstance(self.pieces, str) else self.pieces
        return [Delta(part) if isinstance(part, str) else part for part in said]


class ScriptedBackend(InferenceBackend):
    """Plays its scripts one after the other, the last one again and again.

    Settable: `available`, `capabilities`. Recorded: `requests`, `aborted`, `running`, `most_running`.
    """

    available = True
    capabilities = Capabilities(context_window=4096, tools=True, grammar=True, json_schema=True)

    def __init__(self, *scripts: str | Script) -> None:
        said = scripts or ("Scripted answer.",)
        self.scripts = [Script(script) if isinstance(script, str) else script for script in said]
        self.requests: list[GenerateRequest] = []
        self.aborted: list[GenerateRequest] = []
        """Requests whose generation was closed before its end."""
        self.running = 0
        self.most_running = 0

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        script = self.scripts[min(len(self.requests), len(self.scripts) - 1)]
        self.requests.append(request)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        ended = False
        try:
            async for piece in _play(script):
                yield piece
            ended = True
            yield await self._usage(request, script)
        except BackendError:
            ended = True
            raise
        finally:
            self.running -= 1
            if not ended:
                self.aborted.append(request)

    async def _usage(self, request: GenerateRequest, script: Script) -> Usage:
        prompt = sum(await self.count_tokens([message.content for message in request.messages]))
        calls = any(isinstance(part, ToolCall) for part in script.parts())
        said = sum(isinstance(part, Delta) for part in script.parts())
        return Usage(prompt, 0, said, model="scripted", finish="tool_call" if calls else "stop")

    async def models(self) -> Sequence[ModelInfo]:
        return [ModelInfo("scripted", "Scripted", loaded=True, description="No model: a test's script.")]

    async def load(self, model_id: str) -> None:
        if model_id != "scripted":
            raise BackendError(Code.MODEL_NOT_FOUND, f"A scripted backend has no model {model_id!r}.")

    async def unload(self, model_id: str) -> None:
        await self.load(model_id)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def until_running(self, count: int = 1) -> None:
        """Wait until `count` generations run."""
        await until(lambda: self.running >= count, f"{count} running generations")

    async def until_aborted(self, count: int = 1) -> None:
        """Wait until `count` generations were aborted."""
        await until(lambda: len(self.aborted) >= count, f"{count} aborted generations")


async def _play(script: Script) -> AsyncIterator[Piece]:
    parts = script.parts()
    for position in range(len(parts) + 1):
        await asyncio.sleep(script.between_s if position else script.first_s)
        if position == script.fail_at:
            raise script.error or BackendError(Code.UPSTREAM_LOST, "The script lost its backend here.")
        if position == script.hang_at:
            await asyncio.Event().wait()
        if position < len(parts):
            yield parts[position]
