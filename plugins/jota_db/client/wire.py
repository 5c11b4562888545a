"""One request to the server, and what its refusals mean."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson

from jota_core.api import Code, MemoryStoreError, turn_under_way

from .settings import JotaDbClientSettings

CONNECTIONS = 32
CODES = {
    401: Code.UNAUTHORIZED,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    413: Code.TOO_LARGE,
    429: Code.BUSY,
}


class Away(MemoryStoreError):
    """The server cannot be asked now; the same request may succeed later."""

    def __init__(self, why: str) -> None:
        super().__init__(Code.MEMORY_UNAVAILABLE, f"JotaDB cannot be asked now: {why}.", 2.0)


class Slow(Away):
    """It did not answer in time; asking again at once would only wait as long again."""


class Wire:
    """A pool of connections to one server."""

    def __init__(self, settings: JotaDbClientSettings) -> None:
        self.base = settings.url
        """Where it is asked."""
        self._wait_s = settings.wait_s
        self._key = settings.key.get_secret_value()
        self._headers: dict[str, str] = {}
        if settings.bearer:
            self._headers["Authorization"] = f"Bearer {settings.bearer.get_secret_value()}"
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        limit = aiohttp.ClientTimeout(total=self._wait_s)
        self._http = aiohttp.ClientSession(connector=connector, timeout=limit)

    async def ask(
        self, method: str, path: str, body: object = None, *, owner: str = "", key: str | None = None,
        again: bool = False, **query: object,
    ) -> Any:  # fmt: skip
        """What the server answers; with `again` a connection that was lost is tried once more.

        Raises `Away`, or `MemoryStoreError` for a refusal.
        """
        try:
            return await self._once(method, path, body, owner, key, query)
        except Away as error:
            if not again or isinstance(error, Slow):
                raise
        return await self._once(method, path, body, owner, key, query)

    async def _once(
        self, method: str, path: str, body: object, owner: str, key: str | None, query: dict[str, object]
    ) -> Any:
        shown = {**self._headers, "X-API-Key": self._key if key is None else key}
        if owner:
            shown["X-Client-ID"] = owner
        if turn_id := turn_under_way.get():
            shown["X-Request-Id"] = turn_id
        data = None if body is None else orjson.dumps(body)
        asked = {name: str(value) for name, value in query.items() if value is not None}
        try:
            async with self._http.request(
                method, self.base + path, data=data, headers=shown, params=asked
            ) as answer:
                return _read(answer.status, await answer.read())
        except TimeoutError:  # before its base class OSError
            raise Slow(f"no answer within {self._wait_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Away(str(error) or type(error).__name__) from None

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()
        await asyncio.sleep(0)  # transports close in the loop's next round


def _read(status: int, data: bytes) -> Any:
    try:
        told = orjson.loads(data) if data else None
    except orjson.JSONDecodeError:
        raise Away(f"it answered {status} with something else than JSON") from None
    if status < 300:
        return told
    if status >= 500:
        raise Away(f"it answered {status}")
    detail = told.get("detail") if isinstance(told, dict) else None
    raise MemoryStoreError(CODES.get(status, Code.INVALID_REQUEST), f"JotaDB says: {detail or status}.")
