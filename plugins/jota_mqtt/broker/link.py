"""The line to a broker: connects, connects again, subscribes, publishes."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from logging import CRITICAL, Logger, getLogger
from time import monotonic

from aiomqtt import MqttError, Will
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from jota_core.api import AuthFailed, Destination, Place

from ..settings import MqttSettings
from .choice import MODERN, OLDER, Choice
from .client import UNACKNOWLEDGED, Acknowledging, Delivery
from .troubles import Nowhere, is_wrong_key, shown, trouble, untried

NODELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
"""Without it an echo at QoS 1 takes 44 ms instead of half a one."""
KEEPALIVE_S = 10
ANSWER_S = 5.0
GOODBYE_S = 1.0
FIRST_S, LAST_S = 0.2, 1.5
"""Pauses between tries, doubling."""
REFUSED_S = 30.0
"""The longest pause after a login was refused, where haste does not help."""
STEADY_S = 10.0
"""A line that held for so long was a good one: the same broker is asked first when it breaks."""
MOST_TOLD = 20
"""Places of which the log has said that they fail; with more it may say so again."""
SESSION_S = 86_400
"""The broker keeps our requests for so long while we are away."""
QUIET = getLogger("jota_mqtt.paho")
"""What paho says of a lost line is said by us in a sentence."""
QUIET.setLevel(CRITICAL)


@dataclass(frozen=True, slots=True)
class Line:
    """What a link says of itself when it connects."""

    identifier: str
    will_topic: str
    subscriptions: Sequence[tuple[str, int]]
    login: Callable[[], tuple[str | None, str | None]]
    trouble: Callable[[], str]
    """Why there is no broker to go to, where that is known."""


class Link:
    """One line that is opened again whenever it breaks."""

    def __init__(
        self, settings: MqttSettings, line: Line, log: Logger, destination: Destination, choice: Choice
    ) -> None:
        self._settings = settings
        self._destination = destination
        self._choice = choice
        self._place: Place | None = None
        self._line = line
        self._log = log
        self._told: deque[str] = deque(maxlen=MOST_TOLD)
        self._client: Acknowledging | None = None
        self._language = MODERN
        self._open_since = 0.0
        self._pause_s = FIRST_S
        self.trouble = untried(settings.broker)

    @property
    def is_open(self) -> bool:
        """Whether the broker hears us."""
        return self._client is not None

    @property
    def is_modern(self) -> bool:
        """Whether both ends speak MQTT 5."""
        return self._language is MODERN

    async def run(
        self, opened: Callable[[], None], take: Callable[[Delivery], None], lost: Callable[[], None]
    ) -> None:
        """Be connected until cancelled; `take` gets each message. Raises `AuthFailed`."""
        while True:
            longest_s = LAST_S
            try:
                await self._once(opened, take)
            except (MqttError, OSError) as error:
                longest_s = self._judge(error)
            finally:
                if self._client is not None:
                    self._client = None
                    lost()
            await self._destination.wait(self._pause_s * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            self._pause_s = min(self._pause_s * 2, longest_s)

    async def _once(self, opened: Callable[[], None], take: Callable[[Delivery], None]) -> None:
        self._place, self._open_since = None, monotonic()
        place = await self._knocked()
        client = await self._connected(place)
        try:
            await client.subscribe([*self._line.subscriptions])
            self._client, self.trouble = client, ""
            self._pause_s, self._open_since = FIRST_S, monotonic()
            self._told.clear()
            self._log.info("Connected to %s by MQTT %s.", shown(place), "5" if self.is_modern else "3.1.1")
            opened()
            await client.hand_to(take)
        finally:
            await _left(client, self._line.will_topic)

    async def _knocked(self) -> Place:
        """Where somebody listens; paho would find out in a thread that cannot be interrupted."""
        if in_the_box := self._line.trouble():
            raise Nowhere(in_the_box)
        place = self._place = await self._choice.place()
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(place.host, place.port)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return place

    async def _connected(self, place: Place) -> Acknowledging:
        self._language = self._choice.language(place)
        client = self._made(place)
        entering = asyncio.ensure_future(client.__aenter__())
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            await asyncio.wait({entering})
            client.hang_up()
            raise
        except MqttError as error:
            client.hang_up()
            if not is_wrong_key(error):
                self._choice.misunderstood(place)
            raise
        self._choice.let_in(place)
        return client

    def _made(self, place: Place) -> Acknowledging:
        settings = self._settings
        user, password = self._line.login()
        kept = {"clean_session": False} if self._language is OLDER else _kept()
        return Acknowledging(
            settings.hostname if settings.is_tls else place.host,  # a certificate needs the name
            place.port, protocol=self._language, identifier=self._line.identifier,
            username=user, password=password, timeout=ANSWER_S, keepalive=KEEPALIVE_S,
            will=Will(self._line.will_topic, "offline", 1, retain=True), max_inflight_messages=UNACKNOWLEDGED,
            max_queued_outgoing_messages=10_000, socket_options=[NODELAY], logger=QUIET,
            tls_context=ssl.create_default_context(cafile=settings.ca_file) if settings.is_tls else None,
            **kept,
        )  # fmt: skip

    def _judge(self, error: Exception) -> float:
        """The longest pause after this. Raises `AuthFailed` when only the user can help."""
        place, is_refused = self._place, is_wrong_key(error)
        self.trouble = trouble(place, error)
        if place is None:
            self._tell(self.trouble, about=self.trouble)
            return LAST_S
        if self._client is None or monotonic() - self._open_since < STEADY_S:
            self._choice.failed(place)
        if is_refused and place.record is None:
            raise AuthFailed(self.trouble)
        told = self.trouble if is_refused else f"The broker at {shown(place)} is away ({error})."
        self._tell(told, about=shown(place))
        return REFUSED_S if is_refused else LAST_S

    def _tell(self, sentence: str, about: str) -> None:
        """Once for each place until there is a line; the broker in the box tells its troubles itself."""
        if about not in self._told and not self._line.trouble():
            self._told.append(about)
            self._log.warning("%s", sentence)

    async def subscribe(self, topics: Sequence[tuple[str, int]]) -> None:
        """Hear more, as long as this connection lasts."""
        if self._client is not None:
            with suppress(MqttError, OSError):  # lost: the next connection asks again
                await self._client.subscribe([*topics])

    async def publish(
        self, topic: str, payload: str | bytes, *, qos: int = 0, retain: bool = False,
        correlation: bytes | None = None, expires_s: int | None = None,
    ) -> bool:  # fmt: skip
        """Send a message; waits while the broker is slow. False when there is no line."""
        client = self._client
        if client is None:
            return False
        properties = self._properties(correlation, expires_s)
        try:
            await client.publish(topic, payload, qos, retain, properties)
        except (MqttError, OSError):
            return False
        return True

    def _properties(self, correlation: bytes | None, expires_s: int | None) -> Properties | None:
        if not self.is_modern or (correlation is None and expires_s is None):
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own
        if correlation is not None:
            properties.CorrelationData = correlation
        if expires_s is not None:
            properties.MessageExpiryInterval = expires_s
        return properties


def _kept() -> dict[str, object]:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own
    properties.SessionExpiryInterval = SESSION_S
    properties.ReceiveMaximum = UNACKNOWLEDGED
    return {"clean_start": False, "properties": properties}


async def _left(client: Acknowledging, will_topic: str) -> None:
    """Say goodbye; who goes properly leaves no will, so we say it ourselves. A broken line just ends."""
    try:
        async with asyncio.timeout(GOODBYE_S):
            await client.publish(will_topic, "offline", 1, retain=True)
            await client.__aexit__(None, None, None)
    except (MqttError, OSError, TimeoutError):
        client.hang_up()
    client.forget()
