"""Echo says back what it is told, word by word. Read this plugin first; it is all there is to one.

In `jota.yaml`, under `plugins:`, a section of it looks like this: `llm: {plugin: jota_echo, delay_s: 0.1}`
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from typing import Literal

from pydantic import Field

# Everything that a plugin needs from Jota is in this one module.
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

MODEL = ModelInfo(id="echo", name="Echo", loaded=True, description="Says back what it is told.")


class EchoSettings(Settings):
    """What `jota.yaml` may say in an echo section; anything else there is refused, with its line."""

    greeting: str = ""
    """Said before the echo."""
    delay_s: float = Field(default=0.02, ge=0, le=10)
    """Seconds before each word, so that one can watch it stream."""


class EchoBackend(InferenceBackend):
    """Does the work. The host calls it for every turn, once somebody has said something."""

    available = True
    capabilities = Capabilities(context_window=4096)

    def __init__(self, settings: EchoSettings) -> None:
        self._settings = settings

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        # The messages are the system prompt, the history, and last what the user has just said.
        said = f"{self._settings.greeting} {request.messages[-1].content}".strip()
        words = re.findall(r"\S+\s*", said)
        answer = words[: request.sampling.max_tokens]
        for word in answer:
            # If the user goes away now, this sleep is cancelled: nothing else is left to stop.
            await asyncio.sleep(self._settings.delay_s)
            yield Delta(word)
        prompt = await self.count_tokens([message.content for message in request.messages])
        finish: Literal["stop", "length"] = "stop" if answer == words else "length"
        yield Usage(sum(prompt), 0, completion_tokens=len(answer), model=MODEL.id, finish=finish)

    async def models(self) -> Sequence[ModelInfo]:
        return [MODEL]

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


class JotaEcho(Plugin[EchoSettings]):
    """Tells the host what this section offers. An entry point in `pyproject.toml` names this class."""

    Settings = EchoSettings
    in_each_worker = True

    @hookimpl
    def jota_backends(self) -> Sequence[InferenceBackend]:
        return [EchoBackend(self.settings)]
