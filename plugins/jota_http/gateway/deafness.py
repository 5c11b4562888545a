"""Ears that are away: told once, and asked again after a while, however much sound comes meanwhile."""

from __future__ import annotations

import asyncio

from jota_core.api import ErrorInfo

from .replies import Replies

AGAIN_S = 1.0


class Deafness:
    """What one satellite knows of it."""

    def __init__(self) -> None:
        self._error: ErrorInfo | None = None
        self._until = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the ears may be asked."""
        return self._error is None or asyncio.get_running_loop().time() >= self._until

    def failed(self, error: ErrorInfo, replies: Replies) -> None:
        """An utterance was lost."""
        self._until = asyncio.get_running_loop().time() + (error.retry_after_s or AGAIN_S)
        if self._error is None:
            self._tell(error, replies)
        self._error = error

    def ended(self, replies: Replies) -> None:
        """A speaker has finished whom nobody heard: a satellite waits for an answer now."""
        if self._error is not None:
            self._tell(self._error, replies)

    def heard(self, replies: Replies) -> None:
        """They are back."""
        if self._error is not None:
            self._error = None
            replies.status("transcriber", "restored")

    def _tell(self, error: ErrorInfo, replies: Replies) -> None:
        replies.status("transcriber", "unavailable", error.code, error.sentence)
        replies.failed(error.sentence)
