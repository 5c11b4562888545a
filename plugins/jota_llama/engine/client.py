"""HTTP to a llama.cpp server: the child on its UNIX socket, or any llama-server by its URL."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from jota_core.api import BackendError

from .errors import lost, refusal, said
from .sse import EventReader, EventTooLong

QUESTION_S = 10.0
"""Limit for everything but generations. A question waits for one step of evaluation at most."""
LONGEST_REFUSAL = 64 * 1024
JSON_HEADERS = {"Content-Type": "application/json"}


class LlamaClient:
    """One server. Every method raises `BackendError`; without an answer it is `upstream_lost`."""

    def __init__(self, url: str, socket: Path | None = None, key: str | None = None) -> None:
        # A connection for each request: the server keeps a thread for every open one, and dropping
        # it is what aborts a generation.
        connector = (
            aiohttp.UnixConnector(str(socket), limit=0, force_close=True)
            if socket
            else aiohttp.TCPConnector(limit=0, force_close=True)
        )
        self._url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limit = aiohttp.ClientTimeout(total=None, sock_connect=QUESTION_S)
        self._http = aiohttp.ClientSession(connector=connector, timeout=limit, headers=headers)

    async def close(self) -> None:
        """Drop every connection, and with them what is being generated."""
        await self._http.close()

    async def is_ready(self) -> bool:
        """Whether it listens and has its model loaded."""
        try:
            async with self._http.get(
                f"{self._url}/health", timeout=aiohttp.ClientTimeout(total=QUESTION_S)
            ) as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """One question (a POST when there is a body), one JSON answer."""
        data = None if body is None else _bytes(body)
        limit = aiohttp.ClientTimeout(total=QUESTION_S)
        try:
            async with self._http.request(
                "GET" if data is None else "POST",
                self._url + path,
                data=data,
                headers=JSON_HEADERS,
                timeout=limit,
            ) as response:
                answer = await response.read()
                if response.status != 200:
                    raise refusal(response.status, answer)
                return orjson.loads(answer)
        except (aiohttp.ClientError, OSError, TimeoutError, orjson.JSONDecodeError) as error:
            raise lost() from error

    async def busy_slots(self) -> set[int]:
        """Slots that are at work now."""
        return {slot["id"] for slot in await self.ask("/slots") if slot["is_processing"]}

    @asynccontextmanager
    async def completion(self, body: dict[str, Any]) -> AsyncIterator[AsyncIterator[list[Any]]]:
        """Begin a chat completion; gives an iterator of lists of events. Leaving the block aborts it."""
        response: aiohttp.ClientResponse | None = None
        try:
            response = await self._http.post(
                f"{self._url}/v1/chat/completions", data=_bytes(body), headers=JSON_HEADERS
            )
            if response.status != 200:
                raise refusal(response.status, await response.content.read(LONGEST_REFUSAL))
            yield _events(response)
        except (aiohttp.ClientError, OSError, EventTooLong) as error:
            raise lost() from error
        finally:
            if response is not None:
                response.close()


def _bytes(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        # Half a surrogate pair in somebody's text is no reason to fail the turn: it becomes a question mark.
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[list[Any]]:
    reader = EventReader()
    while data := await response.content.readany():
        events = reader.feed(data)
        for event in events:
            if "error" in event:
                raise _error(event["error"])
        if events:
            yield events


def _error(error: object) -> BackendError:
    return said(error if isinstance(error, dict) else {"message": str(error)})


async def count_tokens(client: LlamaClient, texts: Sequence[str], separator: int) -> list[int]:
    """Tokens of each text, by one question; `separator` is a token that no text can contain."""
    content: list[str | int] = []
    for text in texts:
        content += (text, separator)
    body = {"content": content, "add_special": False, "parse_special": False}
    counts, length = [], 0
    for token in (await client.ask("/tokenize", body))["tokens"]:
        if token == separator:
            counts.append(length)
            length = 0
        else:
            length += 1
    return counts
