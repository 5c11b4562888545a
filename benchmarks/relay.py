"""The floor of the link: a bare aiohttp and uvloop relay from apps to a center that does nothing else.

`python -m benchmarks.relay PORT CENTER_URL`: one connection to the center, a session for each app.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web


class Relay:
    """All apps, and the one connection."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._apps: dict[str, web.WebSocketResponse] = {}
        self._new: asyncio.Queue[str] = asyncio.Queue()

    async def start(self, _: web.Application) -> None:
        """Connect."""
        self._http = aiohttp.ClientSession()
        self._center = await self._http.ws_connect(self._url, compress=0, max_msg_size=0)
        self._reading = asyncio.create_task(self._read())

    async def stop(self, _: web.Application) -> None:
        """Hang up."""
        self._reading.cancel()
        await self._http.close()

    async def attend(self, request: web.Request) -> web.WebSocketResponse:
        """One app."""
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        await self._center.send_json({"op": "create_session"})
        session = await self._new.get()
        self._apps[session] = ws
        async for message in ws:
            await self._center.send_json({"op": "infer", "session_id": session, "prompt": message.data})
        del self._apps[session]
        return ws

    async def _read(self) -> None:
        async for message in self._center:
            frame = message.json()
            if frame["op"] == "token":
                app = self._apps.get(frame["session_id"])
                if app is not None:
                    await app.send_json({"type": "token", "content": frame["content"]})
            elif frame["op"] == "end":
                app = self._apps.get(frame["session_id"])
                if app is not None:
                    await app.send_json({"type": "end"})
            elif frame["op"] == "session_created":
                self._new.put_nowait(frame["session_id"])


async def health(request: web.Request) -> web.Response:
    """It is up."""
    return web.json_response({"status": "ok"})


def application(url: str) -> web.Application:
    """The whole relay."""
    relay, app = Relay(url), web.Application()
    app.on_startup.append(relay.start)
    app.on_cleanup.append(relay.stop)
    app.add_routes([web.get("/health", health), web.get("/api/v1/ws/chat/{user_id}", relay.attend)])
    return app


if __name__ == "__main__":
    web.run_app(
        application(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), loop=uvloop.new_event_loop(),
        access_log=None, print=None, backlog=4096,
    )  # fmt: skip
