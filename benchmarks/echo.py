"""The floor of the nodes: a bare aiomqtt client that sends every request back, and notes when frames come.

`python -m benchmarks.echo PORT FILE`
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from pathlib import Path

import uvloop
from aiomqtt import Client, Message

MOST = 1000
NODELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def answer(client: Client, message: Message) -> None:
    """The same words at `echo/<id>/res`."""
    topic = message.topic.value.removesuffix("req") + "res"
    await client.publish(topic, message.payload, qos=1)


async def serve(port: int, file: Path) -> None:
    """Until it is killed."""
    answers: set[asyncio.Task[None]] = set()
    client = Client("127.0.0.1", port, socket_options=[NODELAY], max_inflight_messages=MOST)
    client.pending_calls_threshold = MOST
    with file.open("a", buffering=1) as heard:
        async with client:
            await client.subscribe([("echo/+/req", 1), ("echo/+/audio", 0)])
            await client.publish("echo/ready", "1", qos=1, retain=True)
            async for message in client.messages:
                if message.topic.value.endswith("audio"):
                    at, payload = time.monotonic(), bytes(message.payload)
                    heard.write(f"{payload[8:14].hex()} {at}\n")
                else:
                    task = asyncio.create_task(answer(client, message))
                    answers.add(task)
                    task.add_done_callback(answers.discard)


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
