"""The floor F: a bare aiohttp and uvloop server that sends the same frames, with no host behind it.

`python -m benchmarks.floor PORT`
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sys

import uvloop
from aiohttp import web

SCRIPT = re.compile(r"tokens=(\d+) pace=(\d+)")


async def stream(ws: web.WebSocketResponse, prompt: str) -> None:
    """Answer one prompt: a timer, a dict, `send_json` for every token."""
    found = SCRIPT.search(prompt)
    tokens, pace = (int(found[1]), int(found[2])) if found else (1, 0)
    turn_id = secrets.token_hex(16)
    wait = 1 / pace if pace else 0
    for index in range(tokens):
        await asyncio.sleep(wait if index else 0)
        await ws.send_json({"type": "token", "turn_id": turn_id, "content": f" w{index}"})
    await ws.send_json({"type": "end", "turn_id": turn_id})


async def socket(request: web.Request) -> web.WebSocketResponse:
    """One WebSocket."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await stream(ws, message.data)
    return ws


async def models(request: web.Request) -> web.Response:
    """The same answer as `GET /api/v1/models` of the measured host."""
    model = {"id": "script", "name": "Scripted", "loaded": True, "context_window": 8192}
    return web.json_response({"status": "success", "models": [model]})


async def chat(request: web.Request) -> web.Response:
    """A bare `POST /api/v1/chat`."""
    body = await request.json()
    answer = {"status": "success", "response": " w0", "user_id": body["user_id"]}
    return web.json_response(answer | {"turn_id": secrets.token_hex(16), "outcome": "complete"})


def application() -> web.Application:
    """The whole server."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/api/v1/ws/chat/{user_id}", socket),
            web.get("/api/v1/models", models),
            web.post("/api/v1/chat", chat),
            web.get("/health", models),
        ]
    )
    return app


if __name__ == "__main__":
    web.run_app(
        application(), host="127.0.0.1", port=int(sys.argv[1]), loop=uvloop.new_event_loop(),
        access_log=None, print=None, backlog=4096,
    )  # fmt: skip
