"""The prompt: as much of the newest history as fits, in an order that keeps its prefix the same.

What changes from turn to turn (the clock, what hooks add) stands behind the user's text and is kept
with it, so that the next turn repeats every earlier byte and the model evaluates only what is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jota_core.api import BackendError, Code, InferenceBackend, Message, StoredMessage, TurnDraft

from .conversations import LiveConversation

MESSAGE_OVERHEAD = 8
"""Tokens that a chat template adds around one message, generously."""
KEEP = 0.6
"""Share of the budget that is kept when the window has to move: it then stays put for many turns."""


def clock_note(now: datetime) -> str:
    """The time as the model is told it, to the minute."""
    return f"{now:%A %d %B %Y, %H:%M}"


def with_note(text: str, note: str) -> str:
    """A user's text with its volatile lines behind it."""
    return f"{text}\n\n({note})" if note else text


def as_message(stored: StoredMessage) -> Message:
    """A stored message the way the model saw it."""
    return Message(stored.role, with_note(stored.content, stored.note))


def system_prompt(draft: TurnDraft) -> str:
    """The stable beginning: the assistant's prompt and what the app adds to it."""
    extra = draft.options.system_extra
    return f"{draft.system}\n\n{extra}" if extra else draft.system


def build(draft: TurnDraft) -> tuple[Message, ...]:
    """The messages of a turn, stable ones first, the user's text with its volatile lines last."""
    user = Message("user", with_note(draft.text, "\n".join(draft.notes)))
    return (Message("system", system_prompt(draft)), *draft.history, user)


async def window(
    live: LiveConversation,
    stored: Sequence[StoredMessage],
    fixed: Sequence[str],
    backend: InferenceBackend,
    answer: int,
) -> tuple[Message, ...]:
    """The newest messages of `stored` that fit beside the `fixed` texts and an answer of `answer` tokens.

    The window's start is remembered in `live` and moves only when it must, then by a good step.
    Raises `BackendError` (`context_too_long`) when even the fixed texts do not fit.
    """
    room = backend.capabilities.context_window
    budget = room - min(answer, room // 2)
    messages = [as_message(message) for message in stored]
    sizes = await _sizes([*fixed, *(message.content for message in messages)], backend, budget)
    budget -= sum(sizes[: len(fixed)])
    if budget < 0:
        raise BackendError(
            Code.CONTEXT_TOO_LONG,
            f"The message is too long for the model: {room} tokens are all it can hold. Send a shorter one.",
        )
    start = _start(live, stored, sizes[len(fixed) :], budget)
    live.window_start = stored[start].id if start < len(stored) else None
    return tuple(messages[start:])


async def _sizes(texts: Sequence[str], backend: InferenceBackend, budget: int) -> list[int]:
    """Tokens of each text; its bytes, which are never fewer, when all fit even so."""
    sizes = [len(text.encode()) + MESSAGE_OVERHEAD for text in texts]
    if sum(sizes) <= budget:
        return sizes
    return [count + MESSAGE_OVERHEAD for count in await backend.count_tokens(texts)]


def _start(live: LiveConversation, stored: Sequence[StoredMessage], sizes: Sequence[int], budget: int) -> int:
    known = next((i for i, message in enumerate(stored) if message.id == live.window_start), None)
    if known is None and live.window_start is None:
        known = 0
    if known is not None and sum(sizes[known:]) <= budget:
        return known
    return _newest_within(stored, sizes, min(int(budget * KEEP), int(sum(sizes) * KEEP)))


def _newest_within(stored: Sequence[StoredMessage], sizes: Sequence[int], budget: int) -> int:
    """Index of the oldest user message from which everything newer fits."""
    start, total = len(stored), 0
    for index in range(len(stored) - 1, -1, -1):
        total += sizes[index]
        if total > budget:
            break
        if stored[index].role == "user":
            start = index
    return start
