"""The newest messages of conversations in use, kept in memory so that most turns read nothing.

What is here was read from the file or written to it; this process is the file's only writer. Where other
hosts write too, nothing is kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from jota_core.api import StoredMessage

MOST_MESSAGES = 256
"""Of one conversation."""
MOST_CHARACTERS = 8_000_000
"""Of all conversations; the least used are forgotten first."""


@dataclass(slots=True)
class _Tail:
    owner: str
    messages: list[StoredMessage]
    last_seq: int
    whole: bool
    """Whether there is nothing older in the store."""
    characters: int


class Tails:
    """Tails by conversation id. Not for threads."""

    def __init__(self, most_characters: int = MOST_CHARACTERS) -> None:
        self._most = most_characters
        self._tails: OrderedDict[int, _Tail] = OrderedDict()
        self._reading: dict[int, object] = {}
        self._characters = 0

    def newest(self, conversation_id: int, owner: str, limit: int) -> Sequence[StoredMessage] | None:
        """The newest `limit` messages, oldest first; None when the store has to be asked."""
        tail = self._tails.get(conversation_id)
        if tail is None or tail.owner != owner or not (tail.whole or len(tail.messages) >= limit):
            return None
        self._tails.move_to_end(conversation_id)
        return tail.messages[-limit:] if limit > 0 else ()

    def reading(self, conversation_id: int) -> object:
        """Say that the store is being asked; the token shows later whether the answer still counts."""
        token = self._reading[conversation_id] = object()
        return token

    def read(
        self, token: object, conversation_id: int, owner: str, messages: list[StoredMessage],
        last_seq: int, whole: bool,
    ) -> None:  # fmt: skip
        """Keep what was read, unless the conversation changed meanwhile."""
        if self._reading.get(conversation_id) is token:
            self._keep(conversation_id, _Tail(owner, messages, last_seq, whole, _size(messages)))

    def done_reading(self, token: object, conversation_id: int) -> None:
        """Forget the token."""
        if self._reading.get(conversation_id) is token:
            del self._reading[conversation_id]

    def begin(self, conversation_id: int, owner: str) -> None:
        """A conversation that was made just now has no messages."""
        self._keep(conversation_id, _Tail(owner, [], 0, True, 0))

    def append(self, conversation_id: int, seq: int, messages: Sequence[StoredMessage]) -> None:
        """A turn was finished; one that is not the newest, or was read already, is read anew."""
        self._reading.pop(conversation_id, None)
        tail = self._tails.get(conversation_id)
        if tail is None:
            return
        if seq <= tail.last_seq:
            self.drop(conversation_id)
            return
        tail.messages.extend(messages)
        tail.last_seq = seq
        grown = _size(messages)
        if len(tail.messages) > 2 * MOST_MESSAGES:
            grown -= _size(tail.messages[:-MOST_MESSAGES])
            del tail.messages[:-MOST_MESSAGES]
            tail.whole = False
        self._resize(tail, grown)

    def drop(self, conversation_id: int) -> None:
        """Something else changed: ask the store next time."""
        self._reading.pop(conversation_id, None)
        tail = self._tails.pop(conversation_id, None)
        if tail is not None:
            self._characters -= tail.characters

    def _keep(self, conversation_id: int, tail: _Tail) -> None:
        self.drop(conversation_id)
        if not self._most:
            return
        self._tails[conversation_id] = tail
        self._characters += tail.characters
        self._resize(tail, 0)

    def _resize(self, tail: _Tail, by: int) -> None:
        tail.characters += by
        self._characters += by
        while self._characters > self._most:
            _, least_used = self._tails.popitem(last=False)
            self._characters -= least_used.characters


def _size(messages: Sequence[StoredMessage]) -> int:
    """Characters, with something for each message itself."""
    return sum(len(message.content) + len(message.thought) + 300 for message in messages)
