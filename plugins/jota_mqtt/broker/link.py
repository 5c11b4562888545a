"""The line to a broker: connects, connects again, subscribes, publishes."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from logging import CRITICAL, Logger, getLogger

from aiomqtt import MqttCodeError, MqttError, ProtocolVersion, Will
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from jota_core.api import AuthFailed, Destination, Place, Resolve

from ..settings import MqttSettings
from .client import UNACKNOWLEDGED, Acknowledging, Delivery

NODELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
"""Without it an echo at QoS 1 takes 44 ms instead of half a one."""
KEEPALIVE_S = 10
ANSWER_S = 5.0
GOODBYE_S = 1.0
FIRST_S, LAST_S = 0.2, 1.5
"""Pauses between tries, doubling."""
SESSION_S = 86_400
"""The broker keeps our requests for so long while we are away."""
QUIET = getLogger("jota_mqtt.paho")
"""What paho says of a lost line is said by us in a sentence."""
QUIET.setLevel(CRITICAL)
WRONG_KEY = {4, 5, 134, 135}
"""Reasons of MQTT 3.1.1 and 5: bad user name or password, not authorised."""


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
        self, settings: MqttSettings, line: Line, log: Logger, destination: Destination, resolve: Resolve
    ) -> None:
        self._settings = settings
        self._destination = destination
        self._resolve = resolve
        self._at = settings.broker
        self._line = line
        self._log = log
        self._client: Acknowledging | None = None
        self._version = ProtocolVersion.V311 if settings.embedded else ProtocolVersion.V5
        self._spoke_modern = False
        self._pause_s = FIRST_S
        self.failures = 0
        """Connections in a row that did not come about."""
        self.trouble = f"The broker at {settings.broker} was not reached yet."

    @property
    def is_open(self) -> bool:
        """Whether the broker hears us."""
        return self._client is not None

    @property
    def is_modern(self) -> bool:
        """Whether both ends speak MQTT 5."""
        return self._version is ProtocolVersion.V5

    async def run(
        self, opened: Callable[[], None], take: Callable[[Delivery], None], lost: Callable[[], None]
    ) -> None:
        """Be connected until cancelled; `take` gets each message. Raises `AuthFailed`."""
        while True:
            try:
                await self._once(opened, take)
            except (MqttError, OSError) as error:
                self._judge(error)
            finally:
                if self._client is not None:
                    self._client = None
                    lost()
            await self._destination.wait(self._pause_s * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            self._pause_s = min(self._pause_s * 2, LAST_S)

    async def _once(self, opened: Callable[[], None], take: Callable[[Delivery], None]) -> None:
        client = await self._connected(await self._knocked())
        try:
            await client.subscribe([*self._line.subscriptions])
            self._client, self.trouble = client, ""
            self._pause_s, self.failures = FIRST_S, 0
            language = "5" if self.is_modern else "3.1.1"
            self._log.info("Connected to %s by MQTT %s.", self._at, language)
            opened()
            await client.hand_to(take)
        finally:
            await _left(client, self._line.will_topic)

    async def _knocked(self) -> Place:
        """Where somebody listens; paho would find out in a thread that cannot be interrupted."""
        if trouble := self._line.trouble():
            raise ConnectionRefusedError(trouble)
        place = await self._destination.place(self._resolve)
        self._at = place.url
        try:
            async with asyncio.timeout(ANSWER_S):
                _, writer = await asyncio.open_connection(place.host, place.port)
        except OSError:
            self._destination.failed(place)
            raise
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return place

    async def _connected(self, place: Place) -> Acknowledging:
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
            if not (self._spoke_modern or _is_wrong_key(error)):
                self._version = ProtocolVersion.V311  # the next try speaks the older language
            raise
        self._spoke_modern = self.is_modern
        return client

    def _made(self, place: Place) -> Acknowledging:
        settings, version = self._settings, self._version
        user, password = self._line.login()
        kept = {"clean_session": False} if version is ProtocolVersion.V311 else _kept()
        return Acknowledging(
            self._named(place), place.port, protocol=version, identifier=self._line.identifier,
            username=user, password=password, timeout=ANSWER_S, keepalive=KEEPALIVE_S,
            will=Will(self._line.will_topic, "offline", 1, retain=True), max_inflight_messages=UNACKNOWLEDGED,
            max_queued_outgoing_messages=10_000, socket_options=[NODELAY], logger=QUIET,
            tls_context=ssl.create_default_context(cafile=settings.ca_file) if settings.is_tls else None,
            **kept,
        )  # fmt: skip

    def _named(self, place: Place) -> str:
        """What the client connects to: a certificate needs the name."""
        return self._settings.hostname if self._settings.is_tls else place.host

    def _judge(self, error: Exception) -> None:
        """Raises `AuthFailed` when only the user can help."""
        self.failures += 1
        if (not self.trouble or self.failures == 1) and not self._line.trouble():
            self._log.warning("The broker at %s is away (%s).", self._at, error)
        self.trouble = f"The broker at {self._at} cannot be reached ({error})."
        if _is_wrong_key(error):
            raise AuthFailed(
                f"The broker at {self._at} does not know this user and password; look at "
                "`username:` and `password:`."
            )

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


def _is_wrong_key(error: Exception) -> bool:
    if not isinstance(error, MqttCodeError):
        return False
    reason = error.rc
    return (reason if isinstance(reason, int) else getattr(reason, "value", 0)) in WRONG_KEY


async def _left(client: Acknowledging, will_topic: str) -> None:
    """Say goodbye; who goes properly leaves no will, so we say it ourselves. A broken line just ends."""
    try:
        async with asyncio.timeout(GOODBYE_S):
            await client.publish(will_topic, "offline", 1, retain=True)
            await client.__aexit__(None, None, None)
    except (MqttError, OSError, TimeoutError):
        client.hang_up()
    client.forget()
