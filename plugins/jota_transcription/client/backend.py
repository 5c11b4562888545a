"""A transcription backend on another machine: one connection for each utterance."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from jota_core.api import (
    RATE,
    SECOND,
    BackendError,
    Code,
    Destination,
    EndedBy,
    Health,
    Heard,
    ListenOptions,
    Resolve,
    ServiceRecord,
    Strained,
    TaskOwner,
    Transcript,
    TranscriptionBackend,
    Utterance,
)

from .settings import TranscriptionSettings
from .spare import Spare

PIECE = RATE * 2
"""Most bytes sent at once: half a second."""
SETTLED_S = 1.6
"""A server that does not end utterances itself: text that is the same for so long is all there was."""
BUSY = ("ENGINE_BUSY", "BUSY")
REFUSED = ("AUTH_REQUIRED", "AUTH_FAILED")


class FarEars(TranscriptionBackend):
    """One section's ears, elsewhere."""

    def __init__(self, settings: TranscriptionSettings) -> None:
        self._settings = settings
        self._spare = Spare(settings)
        self._refused = ""

    @property
    def available(self) -> bool:
        return not self._spare.trouble

    @property
    def languages(self) -> Sequence[str]:
        return (self._settings.language,)

    @property
    def destination(self) -> Destination:
        """Where the other machine may be."""
        return self._spare.destination

    async def lost(self, record: ServiceRecord) -> None:
        """It said goodbye."""
        await self._spare.lost(record)

    async def keep(self, log: logging.Logger, resolve: Resolve) -> None:
        """Keep a connection warm, until cancelled."""
        await self._spare.keep(log, resolve)

    def health(self) -> Health:
        """Whether the other machine is there."""
        trouble = self._refused or self._spare.trouble
        hint = self.destination.advice if self._spare.trouble else ""
        return Health(not trouble, trouble or f"The ears at {self._spare.at}.", hint)

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[Heard, None]:
        socket, tasks = await self._spare.take(), TaskOwner("utterance")
        try:
            async with asyncio.timeout(self._settings.connect_s):
                features = await self._configured(socket, utterance.options)
            talk = Talk(socket, utterance, self._settings.final_s, "ends_itself" in features)
            tasks.start("feed", talk.feed())
            async for heard in talk.heard():
                yield heard
        except TimeoutError:
            raise BackendError(Code.STT_UNAVAILABLE, "The ears did not answer in time.", 2.0) from None
        except ConnectionClosed:
            raise BackendError(Code.STT_UNAVAILABLE, "The ears were lost. Say it again.", 1.0) from None
        finally:
            await tasks.close()
            await socket.close()

    async def _configured(self, socket: ClientConnection, options: ListenOptions) -> list[str]:
        """What the server can do beyond the public one. Raises `BackendError`."""
        config: dict[str, Any] = {
            "type": "config", "language": options.language or self._settings.language,
            "ends_itself": options.ends_itself, "partials": options.partials,
            "prompt": options.prompt, "vad_thold": options.threshold or 0.0,
        }  # fmt: skip
        if self._settings.token:
            config["token"] = self._settings.token.get_secret_value()
        await socket.send(orjson.dumps(config).decode())
        while (frame := _frame(await socket.recv()))["type"] != "ready":
            if frame["type"] == "error":
                raise self._refusal(frame)
        self._refused = ""
        features = frame.get("features")
        return features if isinstance(features, list) else []

    def _refusal(self, frame: dict[str, Any]) -> BackendError:
        error = _error(frame)
        if frame.get("code") in REFUSED:
            self._refused = f"{error.sentence} Look at `token:`."
        return error


class Talk:
    """One utterance over one connection."""

    def __init__(
        self, socket: ClientConnection, utterance: Utterance, final_s: float, ends_itself: bool
    ) -> None:
        self._socket = socket
        self._utterance = utterance
        self._final_s = final_s
        self._must_end = utterance.options.ends_itself and not ends_itself
        self._may_send = asyncio.Event()
        self._may_send.set()
        self._is_ended = False
        self._sent_s = 0.0

    async def feed(self) -> None:
        """Sound into the wire, as far as the server wants it; then the end."""
        try:
            while sound := await self._utterance.read():
                for start in range(0, len(sound), PIECE):
                    await self._may_send.wait()
                    if self._is_ended:
                        return
                    piece = sound[start : start + PIECE]
                    await self._socket.send(piece)
                    self._sent_s += len(piece) / SECOND
                    if self._sent_s >= self._utterance.options.limit_s:
                        await self._end()
            await self._end()
        except ConnectionClosed:
            pass  # whoever listens sees it too

    async def _end(self) -> None:
        if not self._is_ended:
            self._is_ended = True
            await self._socket.send('{"type":"end"}')

    async def heard(self) -> AsyncGenerator[Heard, None]:
        """What the server tells, up to the final. Raises `BackendError` and what sockets raise."""
        text = ""
        while True:
            frame = await self._next(settles=bool(text) and self._must_end)
            if frame is None:
                await self._end()
                continue
            kind = frame["type"]
            if kind == "transcription":
                heard = self._transcript(frame)
                text = heard.text
                yield heard
                if heard.is_final:
                    return
            elif kind == "status":
                yield Strained(frame.get("state") == "busy")
            elif kind == "flow_control":
                self._flow(frame.get("action"))
            elif kind == "error":
                raise _error(frame)

    async def _next(self, *, settles: bool) -> dict[str, Any] | None:
        """The next frame; None when the speaker seems to have finished."""
        waits_for_end = settles and not self._is_ended
        limit_s = SETTLED_S if waits_for_end else self._final_s if self._is_ended else None
        try:
            async with asyncio.timeout(limit_s):
                return _frame(await self._socket.recv())
        except TimeoutError:
            if waits_for_end:
                return None
            raise

    def _flow(self, action: object) -> None:
        if action == "pause":
            self._may_send.clear()
        else:
            self._may_send.set()

    def _transcript(self, frame: dict[str, Any]) -> Transcript:
        text, language = str(frame.get("text") or "").strip(), frame.get("language")
        known = language if isinstance(language, str) else None
        if not frame.get("is_final"):
            return Transcript(text, language=known)
        return Transcript(
            text, True, known, self._sent_s, ended_by=self._ended_by(frame.get("ended_by")),
            is_complete=frame.get("complete") is not False,
        )  # fmt: skip

    def _ended_by(self, told: object) -> EndedBy:
        if told in list(EndedBy):
            return EndedBy(str(told))
        return EndedBy.SILENCE if self._must_end and not self._utterance.is_ended else EndedBy.CALLER


def _frame(data: str | bytes) -> dict[str, Any]:
    """A frame; what is none has the type of nothing."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) and isinstance(found.get("type"), str) else {"type": ""}


def _error(frame: dict[str, Any]) -> BackendError:
    code, message = str(frame.get("code")), str(frame.get("message") or "it gave no reason")
    kind = Code.ENGINE_BUSY if code in BUSY else Code.STT_UNAVAILABLE
    return BackendError(kind, f"The ears say {code[:40]}: {message[:300]}", 2.0)
