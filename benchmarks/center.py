"""A scripted Inference Center that costs little: the happy path, and the same tokens directly to apps.

`python -m benchmarks.center PORT`. `tokens=300 pace=30` in a prompt is 300 tokens, 30 a second; each says
when it was sent (nanoseconds of the monotonic clock), so that whoever gets it knows how long it travelled.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Awaitable, Callable

import orjson
import uvloop
from aiohttp import WSMsgType, web

SCRIPT = re.compile(r"tokens=(\d+) pace=(\d+)")
Send = Callable[[str], Awaitable[None]]


async def speak(prompt: str, token: Send, end: Callable[[], Awaitable[None]]) -> None:
    """Answer one prompt: the first token at once; pace 0: one a pass of the loop."""
    found = SCRIPT.search(prompt)
    tokens, pace = (int(found[1]), int(found[2])) if found else (1, 0)
    loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    for index in range(tokens):
        await asyncio.sleep(max(0.0, began + index / pace - loop.time()) if pace and index else 0)
        await token(f" {time.monotonic_ns()}")
    await end()


async def app(request: web.Request) -> web.WebSocketResponse:
    """Directly to an app, in its frames."""
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)

    async def token(text: str) -> None:
        await ws.send_str(f'{{"type":"token","content":"{text}"}}')

    async for message in ws:
        await speak(message.data, token, lambda: ws.send_str('{"type":"end"}'))
    return ws


async def center(request: web.Request) -> web.WebSocketResponse:
    """As an Inference Center."""
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    tasks: set[asyncio.Task[None]] = set()
    await ws.send_str(
        '{"op":"auth_success","client_id":"bench","max_sessions":10000,"max_frame_bytes":16777216}'
    )
    made = 0
    async for message in ws:
        if message.type is not WSMsgType.TEXT:
            break
        frame = orjson.loads(message.data)
        session = frame.get("session_id")
        if frame["op"] == "create_session":
            made += 1
            await ws.send_str(f'{{"op":"session_created","session_id":"sess_{made}","model_id":"script"}}')
        elif frame["op"] == "set_context":
            await ws.send_str(f'{{"op":"context_set","session_id":"{session}"}}')
        elif frame["op"] == "infer":
            task = asyncio.create_task(_infer(ws, session, frame["prompt"]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        elif frame["op"] == "COMMAND_LIST_MODELS":
            await ws.send_str(
                '{"op":"list_models_result","models":[{"id":"script","name":"Scripted","loaded":true}]}'
            )
        elif frame["op"] == "abort":
            await ws.send_str(f'{{"op":"abort","session_id":"{session}","status":"aborted"}}')
    for task in tasks:
        task.cancel()
    return ws


async def _infer(ws: web.WebSocketResponse, session: str, prompt: str) -> None:
    async def token(text: str) -> None:
        await ws.send_str(
            f'{{"op":"token","session_id":"{session}","model_id":"script","content":"{text}","type":"content"}}'
        )

    stats = '{"ttft_ms":1,"total_ms":1,"tokens":1,"tps":1.0}'
    end = f'{{"op":"end","session_id":"{session}","model_id":"script","stats":{stats}}}'
    try:
        await speak(prompt, token, lambda: ws.send_str(end))
    except ConnectionError:
        pass  # whoever asked is gone


async def health(request: web.Request) -> web.Response:
    """It is up."""
    return web.json_response({"status": "ok"})


def application() -> web.Application:
    """The whole server."""
    made = web.Application()
    made.add_routes(
        [web.get("/health", health), web.get("/api/v1/ws/chat/{user_id}", app), web.get("/center", center)]
    )
    return made


if __name__ == "__main__":
    web.run_app(
        application(), host="127.0.0.1", port=int(sys.argv[1]), loop=uvloop.new_event_loop(),
        access_log=None, print=None, backlog=4096,
    )  # fmt: skip
