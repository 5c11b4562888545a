"""All sessions of one conversation share one lock, however many other conversations there are."""

from __future__ import annotations

from datetime import UTC, datetime

from jota_core.api import Conversation
from jota_core.runtime.conversations import LiveConversations

NOW = datetime.now(UTC)


def stored(number: int, owner: str = "ana") -> Conversation:
    return Conversation(number, owner, None, None, NOW, NOW)


def test_a_conversation_in_use_stays_the_same_among_many() -> None:
    conversations = LiveConversations(recent=10)
    held = conversations.attach(stored(1))
    for number in range(2, 100):
        conversations.attach(stored(number))
    assert conversations.attach(stored(1)) is held, "else two turns of one conversation could run at once"


def test_recent_ones_are_remembered_and_old_ones_forgotten() -> None:
    conversations = LiveConversations(recent=10)
    for number in range(100):
        conversations.attach(stored(number)).window_start = "m1"
    assert conversations.attach(stored(95)).window_start == "m1"
    assert conversations.attach(stored(3)).window_start is None


def test_an_id_that_has_another_owner_now_is_another_conversation() -> None:
    conversations = LiveConversations()
    assert conversations.attach(stored(1)) is not conversations.attach(stored(1, "ben"))
