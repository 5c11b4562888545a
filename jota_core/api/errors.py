"""Errors: a stable code for programs and a sentence for people."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Stable codes, the same on every wire."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    TOO_MANY_REQUESTS = "too_many_requests"
    NOT_FOUND = "not_found"
    INVALID_REQUEST = "invalid_request"
    TOO_LARGE = "too_large"
    BUSY = "busy"
    SLOW_CONSUMER = "slow_consumer"
    CANCELLED = "cancelled"
    SERVER_RESTART = "server_restart"
    BACKEND_UNAVAILABLE = "backend_unavailable"
    ENGINE_BUSY = "engine_busy"
    STT_UNAVAILABLE = "stt_unavailable"
    TTS_UNAVAILABLE = "tts_unavailable"
    UPSTREAM_LOST = "upstream_lost"
    STALLED = "stalled"
    MODEL_NOT_FOUND = "model_not_found"
    CONTEXT_TOO_LONG = "context_too_long"
    UNSUPPORTED = "unsupported"
    MEMORY_UNAVAILABLE = "memory_unavailable"
    INTERNAL = "internal"


RETRYABLE = frozenset(
    {
        Code.TOO_MANY_REQUESTS,
        Code.BUSY,
        Code.SERVER_RESTART,
        Code.BACKEND_UNAVAILABLE,
        Code.ENGINE_BUSY,
        Code.STT_UNAVAILABLE,
        Code.TTS_UNAVAILABLE,
        Code.UPSTREAM_LOST,
        Code.STALLED,
        Code.MEMORY_UNAVAILABLE,
    }
)
"""Codes after which the same request may succeed later."""


class JotaError(Exception):
    """An error that may be shown to whoever asked."""

    def __init__(self, code: Code, sentence: str, retry_after_s: float | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.retry_after_s = retry_after_s

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code in RETRYABLE


class Refused(JotaError):
    """A request that is not served: wrong key, too large, too many, not found."""


class BackendError(JotaError):
    """A backend could not begin or go on with its work."""


class MemoryStoreError(JotaError):
    """Memory could not be read or written."""


class NotReady(Exception):
    """`jota_setup`: something outside is not there yet. The section waits and is tried again."""


class AuthFailed(Exception):
    """`jota_setup`: the credentials are wrong. The section fails until the user changes them."""


class SetupFailed(Exception):
    """`jota_setup`: it cannot work like this. The section fails until the user changes something."""
