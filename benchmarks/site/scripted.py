"""A backend that says what the prompt tells it to, at the pace that the prompt names."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence

from jota_core.api import (
    Capabilities,
    Delta,
    GenerateRequest,
    InferenceBackend,
    ModelInfo,
    Piece,
    Plugin,
    Settings,
    Usage,
    hookimpl,
)

SCRIPT = re.compile(r"tokens=(\d+) pace=(\d+)(?: word=(\w+))?")
MODEL = ModelInfo(id="script", name="Scripted", loaded=True, context_window=8192)


def token(word: str, index: int) -> str:
    """Token number `index`; its number is in it, so that a reader can see what is missing."""
    return f" {word}{index}"


class ScriptedStream(InferenceBackend):
    """`tokens=300 pace=30` is 300 tokens, 30 a second, the first at once; pace 0: one a pass of the loop.

    `word=ana` after it: the tokens are `ana0 ana1 …`, which tell whose they are.
    """

    available = True
    capabilities = Capabilities(context_window=8192)

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        found = SCRIPT.search(request.messages[-1].content)
        tokens, pace = (int(found[1]), int(found[2])) if found else (1, 0)
        wait, word = 1 / pace if pace else 0, (found and found[3]) or "w"
        for index in range(tokens):
            await asyncio.sleep(wait if index else 0)
            yield Delta(token(word, index))
        yield Usage(len(request.messages), 0, tokens, MODEL.id)

    async def models(self) -> Sequence[ModelInfo]:
        return [MODEL]

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) // 4 + 1 for text in texts]


class Scripted(Plugin[Settings]):
    """Offers the scripted backend."""

    @hookimpl
    def jota_backends(self) -> Sequence[InferenceBackend]:
        return [ScriptedStream()]
