"""The engine without a host: its own HTTP on its UNIX socket, asked just as the host asks it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import aiohttp

from jota_core.config import AssistantSettings

NOTE = "\n".join(["The boiler is warm."] * 5)
"""What the five plugins of the site add to a prompt."""


class Engine:
    """One llama.cpp server."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def together(self, texts: Sequence[str], tokens: int) -> float:
        """Tokens a second of one generation for each text, all at once."""

        async def all_of_them() -> list[tuple[int, float]]:
            return await asyncio.gather(*(self._generate(text, tokens) for text in texts))

        began = perf_counter()
        answers = asyncio.run(all_of_them())
        return sum(count for count, _ in answers) / (perf_counter() - began)

    def first_token_ms(self, text: str, tokens: int) -> float:
        """How long one generation takes until its first token, in milliseconds."""
        return asyncio.run(self._generate(text, tokens))[1] * 1000

    async def _generate(self, text: str, tokens: int) -> tuple[int, float]:
        count, first, began = 0, 0.0, perf_counter()
        connector = aiohttp.UnixConnector(str(self._socket))
        async with (
            aiohttp.ClientSession(connector=connector) as http,
            http.post("http://engine/v1/chat/completions", json=body(text, tokens)) as answer,
        ):
            async for line in answer.content:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                delta = event["choices"][0]["delta"] if event.get("choices") else {}
                if delta.get("content") and not first:
                    first = perf_counter() - began
                count = (event.get("usage") or {}).get("completion_tokens", count)
        return count, first


def messages(text: str) -> list[dict[str, str]]:
    """The prompt that the host makes of a text."""
    usual = AssistantSettings()
    return [
        {"role": "system", "content": usual.system_prompt.replace("{name}", usual.name)},
        {"role": "user", "content": f"{text}\n\n[{NOTE}]"},
    ]


def body(text: str, tokens: int) -> dict[str, object]:
    """The request that the host makes of the same prompt."""
    return {
        "messages": messages(text),
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "cache_prompt": True,
        "temperature": 0,
        "max_tokens": tokens,
    }
