"""The MQTT client: aiomqtt's, except that a message is acknowledged when we say so."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiomqtt import Client, Message, MqttError

UNACKNOWLEDGED = 1000
"""Requests that the broker hands us before we have acknowledged the first."""


class Acknowledging(Client):
    """aiomqtt's client, except that a message is acknowledged when its delivery says so."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]  # passed on as they came
        self._owed: deque[Delivery] = deque()
        self._take: Callable[[Delivery], None] | None = None
        self.pending_calls_threshold = UNACKNOWLEDGED
        self._client.manual_ack_set(True)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        """As aiomqtt does it, but at once, and not to a socket that was closed meanwhile."""

        def write() -> None:
            try:
                client.loop_write()
            except Exception as error:  # noqa: BLE001 - whatever breaks it, the line is broken
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)

        def first() -> None:
            write()
            if client.want_write() and sock.fileno() >= 0:  # it takes no more now
                self._loop.add_writer(sock.fileno(), write)

        self._loop.call_soon_threadsafe(first)

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        super()._on_message(client, userdata, message)
        self._hand_on()

    def _hand_on(self) -> None:
        while self._take is not None and not self._queue.empty():
            self._take(self._arrived(self._queue.get_nowait()))

    async def hand_to(self, take: Callable[[Delivery], None]) -> None:
        """Each message, as it comes, until the line breaks: `MqttError`. aiomqtt makes a task for each."""
        self._take = take
        try:
            self._hand_on()
            await asyncio.wait({self._disconnected})
        finally:
            self._take = None
        raise MqttError("The line is broken.") from self._disconnected.exception()

    def _arrived(self, message: Message) -> Delivery:
        """A message, in the order in which it came."""
        delivery = Delivery(message, self)
        if message.qos:
            self._owed.append(delivery)
        return delivery

    def settle(self) -> None:
        """Acknowledge what may be forgotten: in the order of arrival, as MQTT demands (4.6)."""
        while self._owed and self._owed[0].is_done:
            message = self._owed.popleft().message
            self._client.ack(message.mid, message.qos)

    def forget(self) -> None:
        """Nobody wants to know any more why it was lost."""
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()

    def hang_up(self) -> None:
        """Leave nothing of a connection that did not come about; aiomqtt closes only those that did."""
        if (sock := self._client.socket()) is not None:
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())
            sock.close()
        if self._misc_task is not None:
            self._misc_task.cancel()


@dataclass(slots=True)
class Delivery:
    """A message, and the connection that it came by."""

    message: Message
    client: Acknowledging
    is_done: bool = False
    is_replayed: bool = False
    """It came for another host, and is looked at again."""

    @property
    def topic(self) -> str:
        """Where it was published."""
        return self.message.topic.value

    @property
    def payload(self) -> bytes:
        """What it says."""
        payload: object = self.message.payload
        return payload if isinstance(payload, bytes) else b""

    @property
    def response_topic(self) -> str | None:
        """MQTT 5: where the answer is wanted."""
        return getattr(self.message.properties, "ResponseTopic", None)

    @property
    def correlation(self) -> bytes | None:
        """MQTT 5: what the answer has to carry."""
        return getattr(self.message.properties, "CorrelationData", None)

    def acknowledge(self) -> None:
        """The broker may forget it; a connection that is over has nothing to forget."""
        self.is_done = True
        if self.message.qos:
            self.client.settle()
