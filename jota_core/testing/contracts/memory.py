"""What every memory store does."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace

import pytest

from jota_core.api import (
    Code,
    Conversation,
    MemoryStore,
    MemoryStoreError,
    Outcome,
    StoredMessage,
    TurnRecord,
    TurnResult,
)

from .records import RecordsContract

MARK = "[INTERRUPTED]"


class MemoryStoreContract(RecordsContract):
    """Subclass it in a test module as `class Test…` and give it a fixture `store`: open and empty."""

    owner = "contract-owner"

    @pytest.fixture
    def store(self) -> MemoryStore:
        """The store under test; override it."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `store`.")

    @pytest.fixture
    async def conversation(self, store: MemoryStore) -> Conversation:
        """A conversation of `owner`."""
        return await store.open_conversation(self.owner)

    async def begun(self, store: MemoryStore, conversation: Conversation, text: str = "Hello") -> TurnRecord:
        """A running turn."""
        return await store.begin_turn(uuid.uuid4().hex, conversation.id, conversation.owner, text)

    async def told(
        self, store: MemoryStore, conversation: Conversation, text: str, answer: str
    ) -> TurnRecord:
        """A whole turn."""
        record = await self.begun(store, conversation, text)
        await store.finish_turn(record, TurnResult(Outcome.COMPLETE, answer))
        return record

    async def recalled(self, store: MemoryStore, conversation: Conversation, limit: int = 100) -> list[str]:
        """Contents of what is recalled."""
        messages = await store.recall(conversation.id, conversation.owner, limit=limit)
        return [message.content for message in messages]

    async def test_it_is_available(self, store: MemoryStore) -> None:
        assert store.available is True

    async def test_an_owner_goes_on_with_the_latest_conversation(self, store: MemoryStore) -> None:
        first = await store.open_conversation(self.owner)
        assert (await store.open_conversation(self.owner)).id == first.id
        second = await store.open_conversation(self.owner, new=True)
        assert second.id != first.id
        assert (await store.open_conversation(self.owner)).id == second.id
        await self.begun(store, first)
        assert (await store.open_conversation(self.owner)).id == first.id
        assert (await store.open_conversation(self.owner, second.id)).id == second.id

    async def test_many_first_visits_at_once_make_one_conversation(self, store: MemoryStore) -> None:
        opened = await asyncio.gather(*(store.open_conversation(self.owner) for _ in range(8)))
        assert len({conversation.id for conversation in opened}) == 1

    async def test_times_are_aware(self, store: MemoryStore, conversation: Conversation) -> None:
        await self.told(store, conversation, "Hello", "Hi")
        for message in await store.recall(conversation.id, self.owner, limit=10):
            assert message.created_at.tzinfo is not None
        assert conversation.created_at.tzinfo is not None
        assert conversation.updated_at.tzinfo is not None

    async def test_a_turn_is_recalled_once_it_is_finished(
        self, store: MemoryStore, conversation: Conversation
    ) -> None:
        record = await self.begun(store, conversation, "The code is 4711")
        assert await self.recalled(store, conversation) == []
        await store.finish_turn(record, TurnResult(Outcome.COMPLETE, "Noted", "hm", "Now: Monday"))
        user, answer = await store.recall(conversation.id, self.owner, limit=10)
        assert (user.id, answer.id) == (record.user_message_id, record.answer_id)
        assert (user.role, user.content, user.note, user.outcome) == (
            "user", "The code is 4711", "Now: Monday", None,
        )  # fmt: skip
        assert (answer.role, answer.content, answer.note) == ("assistant", "Noted", "")
        assert (answer.thought, answer.outcome) == ("hm", Outcome.COMPLETE)
        assert {user.turn_id, answer.turn_id} == {record.turn_id}

    async def test_message_ids_are_uuids(self, store: MemoryStore, conversation: Conversation) -> None:
        record = await self.begun(store, conversation)
        assert uuid.UUID(record.user_message_id) != uuid.UUID(record.answer_id)

    async def test_the_newest_are_recalled_oldest_first(
        self, store: MemoryStore, conversation: Conversation
    ) -> None:
        for number in range(5):
            await self.told(store, conversation, f"q{number}", f"a{number}")
        assert await self.recalled(store, conversation, 4) == ["q3", "a3", "q4", "a4"]
        assert await self.recalled(store, conversation, 3) == ["a3", "q4", "a4"]
        assert await self.recalled(store, conversation, 0) == []
        assert len(await self.recalled(store, conversation)) == 10

    async def test_beginning_again_gives_the_same_record_marked_as_repeated(
        self, store: MemoryStore, conversation: Conversation
    ) -> None:
        turn = uuid.uuid4().hex
        begin = [store.begin_turn(turn, conversation.id, self.owner, "Hello") for _ in range(4)]
        records = await asyncio.gather(*begin)
        records.append(await store.begin_turn(turn, conversation.id, self.owner, "Hello"))
        (first,) = (record for record in records if not record.is_repeated)
        await store.finish_turn(first, TurnResult(Outcome.COMPLETE, "Hi"))
        records.append(await store.begin_turn(turn, conversation.id, self.owner, "Hello"))
        assert records[-1].is_repeated
        assert {replace(record, is_repeated=False) for record in records} == {first}
        assert await self.recalled(store, conversation) == ["Hello", "Hi"]

    async def test_a_repeated_turn_can_be_ended_too(
        self, store: MemoryStore, conversation: Conversation
    ) -> None:
        begun = await self.begun(store, conversation)
        again = await store.begin_turn(begun.turn_id, conversation.id, self.owner, "Hello")
        await store.checkpoint(again, "H")
        await store.finish_turn(again, TurnResult(Outcome.COMPLETE, "Hi"))
        await store.finish_turn(begun, TurnResult(Outcome.COMPLETE, "Another"))
        assert await self.recalled(store, conversation) == ["Hello", "Hi"]

    async def test_finishing_again_changes_nothing(
        self, store: MemoryStore, conversation: Conversation
    ) -> None:
        record = await self.begun(store, conversation)
        await store.finish_turn(record, TurnResult(Outcome.INTERRUPTED, "Well"))
        before = await store.recall(conversation.id, self.owner, limit=10)
        await store.finish_turn(record, TurnResult(Outcome.INTERRUPTED, "Well"))
        await store.finish_turn(record, TurnResult(Outcome.COMPLETE, "Another"))
        await store.checkpoint(record, "Late")
        assert list(await store.recall(conversation.id, self.owner, limit=10)) == list(before)
        assert before[-1].content.count(MARK) == 1

    async def test_a_cut_answer_is_kept_and_marked(
        self, store: MemoryStore, conversation: Conversation
    ) -> None:
        record = await self.begun(store, conversation)
        await store.checkpoint(record, "Once")
        await store.finish_turn(record, TurnResult(Outcome.INTERRUPTED, "Once upon"))
        answer = (await store.recall(conversation.id, self.owner, limit=1))[0]
        assert answer.content == f"Once upon {MARK}"
        assert answer.outcome is Outcome.INTERRUPTED
        silent = await self.begun(store, conversation)
        await store.finish_turn(silent, TurnResult(Outcome.INTERRUPTED, ""))
        assert (await self.recalled(store, conversation, 1)) == [MARK]

    async def test_a_failed_turn_keeps_the_users_message(
        self, store: MemoryStore, conversation: Conversation
    ) -> None:
        record = await self.begun(store, conversation, "Anyone?")
        await store.finish_turn(record, TurnResult(Outcome.FAILED, "", error_code="backend_unavailable"))
        assert await self.recalled(store, conversation) == ["Anyone?"]

    async def test_a_running_turn_is_listed_with_its_text_so_far(
        self, store: MemoryStore, conversation: Conversation
    ) -> None:
        record = await self.begun(store, conversation, "Tell me")
        await store.checkpoint(record, "Once")
        await store.checkpoint(record, "Once upon a time")
        listed = await store.list_messages(conversation.id, self.owner)
        assert [message.content for message in listed] == ["Tell me", "Once upon a time"]
        assert listed[-1].outcome is None
        assert await self.recalled(store, conversation) == []

    async def test_messages_are_listed_page_by_page(
        self, store: MemoryStore, conversation: Conversation
    ) -> None:
        for number in range(4):
            await self.told(store, conversation, f"q{number}", f"a{number}")
        pages: list[list[str]] = []
        before: str | None = None
        while page := await store.list_messages(conversation.id, self.owner, limit=3, before=before):
            pages.insert(0, [message.content for message in page])
            before = page[0].id
        told = [f"{who}{number}" for number in range(4) for who in "qa"]
        assert [text for texts in pages for text in texts] == told

    async def test_conversations_are_listed_latest_first(self, store: MemoryStore) -> None:
        made = [await store.open_conversation(self.owner, new=True) for _ in range(3)]
        await self.told(store, made[0], "The boiler\nis cold", "Oh")
        listed = await store.list_conversations(self.owner)
        assert [item.id for item in listed] == [made[0].id, made[2].id, made[1].id]
        assert listed[0].title and listed[0].title.startswith("The boiler")
        assert [c.id for c in await store.list_conversations(self.owner, limit=1, offset=1)] == [made[2].id]
        assert await store.list_conversations("nobody") == []

    async def test_a_model_is_remembered(self, store: MemoryStore, conversation: Conversation) -> None:
        await store.set_model(conversation.id, self.owner, "tiny")
        assert (await store.open_conversation(self.owner)).model_id == "tiny"

    async def test_deleted_is_gone(self, store: MemoryStore, conversation: Conversation) -> None:
        running = await self.begun(store, conversation, "secret")
        await self.told(store, conversation, "secret too", "Yes")
        await store.delete_conversation(conversation.id, self.owner)
        assert await store.list_conversations(self.owner) == []
        await self.refuses_everything(store, conversation.id, self.owner)
        await store.checkpoint(running, "still there?")
        with pytest.raises(MemoryStoreError) as refused:
            await store.finish_turn(running, TurnResult(Outcome.COMPLETE, "still there?"))
        assert refused.value.code is Code.NOT_FOUND
        fresh = await store.open_conversation(self.owner)
        assert fresh.id != conversation.id, "an id was given out twice"
        assert await self.recalled(store, fresh) == []

    async def test_another_owners_conversation_is_not_found(
        self, store: MemoryStore, conversation: Conversation
    ) -> None:
        await self.told(store, conversation, "mine", "yours?")
        await self.recalled(store, conversation)
        await self.refuses_everything(store, conversation.id, "somebody-else")
        assert await self.recalled(store, conversation) == ["mine", "yours?"]

    async def refuses_everything(self, store: MemoryStore, conversation_id: int, owner: str) -> None:
        """Every method that takes a conversation says `not_found`."""
        asked = (
            store.open_conversation(owner, conversation_id),
            store.begin_turn(uuid.uuid4().hex, conversation_id, owner, "x"),
            store.recall(conversation_id, owner, limit=5),
            store.list_messages(conversation_id, owner),
            store.set_model(conversation_id, owner, "x"),
            store.delete_conversation(conversation_id, owner),
        )
        for question in asked:
            with pytest.raises(MemoryStoreError) as refused:
                await question
            assert refused.value.code is Code.NOT_FOUND

    @pytest.mark.parametrize(
        "text",
        ["", " ", "\x01\x1f", "\r\n\t", "'; DROP TABLE messages; --", "¿Qué hora es? 🕰️", "x" * 262_144],
        ids=["empty", "blank", "controls", "line ends", "sql", "unicode", "long"],
    )
    async def test_text_comes_back_as_it_was(
        self, store: MemoryStore, conversation: Conversation, text: str
    ) -> None:
        await self.told(store, conversation, text, text or "-")
        found: Sequence[StoredMessage] = await store.list_messages(conversation.id, self.owner)
        assert [message.content for message in found] == [text, text or "-"]

    async def test_many_turns_at_once_stay_apart(self, store: MemoryStore) -> None:
        made = [await store.open_conversation(f"owner-{number}") for number in range(20)]
        await asyncio.gather(*(self.told(store, c, f"I am {c.owner}", f"Hello {c.owner}") for c in made))
        for conversation in made:
            whole = [f"I am {conversation.owner}", f"Hello {conversation.owner}"]
            assert await self.recalled(store, conversation) == whole
