"""Sessions: live attachments of apps and nodes, and the hub that doors open them at."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence

from jota_core.api import (
    AudioFormat,
    Code,
    Credentials,
    InferenceBackend,
    JotaError,
    ListenOptions,
    MemoryStore,
    ModelInfo,
    Principal,
    Refused,
    ReplySink,
    Session,
    SessionClosed,
    SessionOpened,
    Sessions,
    SpeechBackend,
    TaskOwner,
    TranscriptionBackend,
    Utterance,
)

from .checkpoints import Checkpoints
from .conversations import LiveConversation, LiveConversations
from .inference import HostInference
from .models import Models
from .parts import Parts
from .session import LiveSession
from .sound import converter
from .turn import Turn

log = logging.getLogger(__name__)

RESTARTING = Refused(
    Code.SERVER_RESTART, "The host is restarting. Connect again in a moment.", retry_after_s=2.0
)


class SessionHub(Sessions):
    """Opens sessions, knows all of them and ends them together."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.tasks = TaskOwner("turns")
        self.running: set[Turn] = set()
        self.draining = False
        self._live = LiveConversations()
        self._models = Models(parts.routing.backends)
        self._inference = HostInference(parts.routing, self._models, parts.limits, parts.bus)
        self._open: set[LiveSession] = set()
        self._checkpoints = Checkpoints(self.running, parts.limits)

    @property
    def memory(self) -> MemoryStore:
        return self.parts.memory

    @property
    def inference(self) -> InferenceBackend:
        return self._inference

    @property
    def transcription(self) -> TranscriptionBackend:
        return self.parts.transcription

    def utterance(self, options: ListenOptions, audio: AudioFormat) -> Utterance:
        return Utterance(options, audio.frame_bytes, converter(audio))

    @property
    def speech(self) -> SpeechBackend:
        return self.parts.speech

    @property
    def count(self) -> int:
        """Sessions open now."""
        return len(self._open)

    @property
    def waiting(self) -> int:
        """Messages that wait for their turn."""
        return sum(session.waiting for session in self._open)

    def start(self) -> None:
        """Begin to checkpoint growing answers."""
        self._checkpoints.start()

    async def authenticate(self, credentials: Credentials) -> Principal:
        principal = await self.parts.hooks.authenticate(credentials)
        if principal is None:
            raise Refused(Code.UNAUTHORIZED, "Nobody knows this key. Send a valid one with the request.")
        return principal

    async def open(
        self,
        principal: Principal,
        reply: ReplySink,
        *,
        door: str,
        conversation_id: int | None = None,
        new_conversation: bool = False,
        lazy: bool = False,
    ) -> Session:
        if self.draining:
            raise RESTARTING
        if len(self._open) >= self.parts.limits.max_sessions:
            raise Refused(Code.BUSY, f"All {len(self._open)} sessions are taken. Try again later.", 5.0)
        session = LiveSession(self, "ses_" + secrets.token_hex(8), principal, reply, door)
        if not lazy or conversation_id is not None or new_conversation:
            session.live = await self.attach(principal.id, conversation_id, new=new_conversation)
        self._open.add(session)
        self.parts.bus.publish(SessionOpened(session.id, door))
        return session

    async def attach(
        self, owner: str, conversation_id: int | None = None, *, new: bool = False
    ) -> LiveConversation:
        """The live conversation of an owner. Raises `MemoryStoreError`."""
        opening = self.memory.open_conversation(owner, conversation_id, new=new)
        return self._live.attach(await self.parts.stored("open_conversation", opening))

    def detach(self, session: LiveSession) -> None:
        """A session was closed."""
        if session in self._open:
            self._open.discard(session)
            self.parts.bus.publish(SessionClosed(session.id, session.door))

    async def models(self) -> Sequence[ModelInfo]:
        return await self._models.all()

    async def load_model(self, model_id: str) -> None:
        """Make the backend that has a model load it. Raises `Refused` or `BackendError`."""
        await self._models.load(model_id)

    async def drain(self, limit_s: float) -> None:
        """Take no new work; let running turns end within the limit, then cut them, keeping their text."""
        self.draining = True
        for session in self._open:
            session.stop_listening()
        if not await self.tasks.wait(limit_s):
            for turn in list(self.running):
                turn.cut(Code.SERVER_RESTART, "The host is restarting; the text so far is kept.")
            await self.tasks.wait(self.parts.limits.store_timeout_s)

    async def close(self) -> None:
        """End every session and every task."""
        self.draining = True
        results = await asyncio.gather(
            *(session.close() for session in list(self._open)), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, JotaError):
                log.error("A session did not close cleanly.", exc_info=result)
        await self._checkpoints.close()
        await self.tasks.close()
