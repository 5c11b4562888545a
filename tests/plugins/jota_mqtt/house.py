"""A host under test with nodes at its door, and its REST over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from jota_core.api import InferenceBackend
from jota_core.host import Host
from jota_core.testing.hosts import Given, free_port, running_host

LIMIT_S = 20.0
Answer = tuple[int, dict[str, Any]]


class InYaml(Protocol):
    """A broker, as far as a host has to know of it."""

    @property
    def section(self) -> dict[str, Any]:
        """What jota.yaml says of it."""


class House:
    """One host."""

    def __init__(self, host: Host, url: str, http: aiohttp.ClientSession) -> None:
        self.host = host
        self.url = url
        self._http = http

    async def rest(self, method: str, path: str = "", body: object = None) -> Answer:
        """One request at `/api/v1/nodes`."""
        place = f"{self.url}/api/v1/nodes" + (f"/{path}" if path else "")
        async with self._http.request(method, place, json=body) as answer:
            return answer.status, await answer.json()

    async def until_open(self) -> None:
        """The host knows its nodes."""
        for _ in range(int(LIMIT_S / 0.05)):
            if (await self.rest("GET"))[0] == 200:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the host never knew its nodes")

    async def approve(self, *nodes: str) -> None:
        await self.until_open()
        for node in nodes or ("kitchen",):
            status, told = await self.rest("POST", f"{node}/approve", {})
            assert status == 200, told

    async def shown(self, node: str = "kitchen") -> dict[str, Any]:
        status, told = await self.rest("GET", node)
        assert status == 200, told
        shown: dict[str, Any] = told["node"]
        return shown

    async def health(self, section: str = "nodes") -> Any:
        report = await self.host.health()
        return next(each for each in report.sections if each.section == section)


@asynccontextmanager
async def house_at(
    folder: Path,
    broker: InYaml,
    llm: InferenceBackend,
    *,
    plugins: Mapping[str, Given] | None = None,
    sections: Mapping[str, Any] | None = None,
    turns: Mapping[str, Any] | None = None,
    **nodes: Any,
) -> AsyncIterator[House]:
    """A host whose nodes come by this broker, answered by `llm`."""
    folder.mkdir(exist_ok=True)
    url = f"http://127.0.0.1:{(port := free_port())}"
    config = {
        "plugins": {
            **(sections or {}),
            "app": {"plugin": "jota_http", "listen": f"127.0.0.1:{port}"},
            "nodes": {**broker.section, **nodes},
        },
        "routing": {"inference": ["llm"]},
        "turns": dict(turns or {}),
    }
    async with (
        running_host(folder, config, plugins={"llm": llm, **(plugins or {})}) as host,
        aiohttp.ClientSession() as http,
    ):
        yield House(host, url, http)
