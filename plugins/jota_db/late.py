"""The memory store that a section offers before there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from jota_core.api import (
    Code,
    Conversation,
    MemoryStore,
    MemoryStoreError,
    Record,
    StoredMessage,
    TurnRecord,
    TurnResult,
)

from .facts.known import KnownFacts
from .facts.meaning import Meaning
from .people.preferences import KnownPreferences, Preferences

if TYPE_CHECKING:
    from .sql.store import SqlStore  # noqa: F401 - named in a string below

S = TypeVar("S", bound=MemoryStore)


class Late(MemoryStore, Generic[S]):
    """Passes everything to `inner`; while that is None every call is `memory_unavailable`."""

    def __init__(self) -> None:
        self.inner: S | None = None

    @property
    def available(self) -> bool:
        """Whether the store is open."""
        return self.inner is not None and self.inner.available

    def opened(self) -> S:
        """The store. Raises `MemoryStoreError` while there is none."""
        if self.inner is None:
            raise MemoryStoreError(
                Code.MEMORY_UNAVAILABLE, "The memory is not open yet; `jota doctor` tells why.", 1.0
            )
        return self.inner

    async def open_conversation(
        self, owner: str, conversation_id: int | None = None, *, new: bool = False
    ) -> Conversation:
        """See `MemoryStore`."""
        return await self.opened().open_conversation(owner, conversation_id, new=new)

    async def begin_turn(self, turn_id: str, conversation_id: int, owner: str, text: str) -> TurnRecord:
        """See `MemoryStore`."""
        return await self.opened().begin_turn(turn_id, conversation_id, owner, text)

    async def checkpoint(self, record: TurnRecord, text: str) -> None:
        """See `MemoryStore`."""
        await self.opened().checkpoint(record, text)

    async def finish_turn(self, record: TurnRecord, result: TurnResult) -> bool:
        """See `MemoryStore`."""
        return await self.opened().finish_turn(record, result)

    async def recall(self, conversation_id: int, owner: str, *, limit: int) -> Sequence[StoredMessage]:
        """See `MemoryStore`."""
        return await self.opened().recall(conversation_id, owner, limit=limit)

    async def list_conversations(
        self, owner: str, *, limit: int = 50, offset: int = 0
    ) -> Sequence[Conversation]:
        """See `MemoryStore`."""
        return await self.opened().list_conversations(owner, limit=limit, offset=offset)

    async def list_messages(
        self, conversation_id: int, owner: str, *, limit: int = 50, before: str | None = None
    ) -> Sequence[StoredMessage]:
        """See `MemoryStore`."""
        return await self.opened().list_messages(conversation_id, owner, limit=limit, before=before)

    async def search(self, owner: str, query: str, *, limit: int = 50) -> Sequence[StoredMessage]:
        """See `MemoryStore`."""
        return await self.opened().search(owner, query, limit=limit)

    async def set_model(self, conversation_id: int, owner: str, model_id: str) -> None:
        """See `MemoryStore`."""
        await self.opened().set_model(conversation_id, owner, model_id)

    async def delete_conversation(self, conversation_id: int, owner: str) -> None:
        """See `MemoryStore`."""
        await self.opened().delete_conversation(conversation_id, owner)

    async def records(self, collection: str) -> Sequence[Record]:
        """See `MemoryStore`."""
        return await self.opened().records(collection)

    async def save_record(
        self, collection: str, key: str, value: Mapping[str, Any] | None, *, version: int | None = None
    ) -> Record | None:
        """See `MemoryStore`."""
        return await self.opened().save_record(collection, key, value, version=version)


class LateStore(Late["SqlStore"]):
    """A store of ours, and how its clients like it."""

    def __init__(self) -> None:
        super().__init__()
        self._preferences = KnownPreferences()
        self._facts = KnownFacts()

    async def recall(self, conversation_id: int, owner: str, *, limit: int) -> Sequence[StoredMessage]:
        """See `MemoryStore`; never more than the client wants to be remembered."""
        store = self.opened()
        most = (await self._preferences.of(store, owner)).memory_limit
        return await store.recall(conversation_id, owner, limit=limit if most is None else min(limit, most))

    def preferences_changed(self, owner: str) -> None:
        """They are read anew."""
        self._preferences.forget(owner)

    async def preferences(self, owner: str) -> Preferences:
        """How this client likes it; the usual when nobody can tell."""
        return await self._preferences.of(self.inner, owner) if self.inner else Preferences()

    async def relevant_facts(self, owner: str, text: str) -> list[str]:
        """Of this client, to this text; none while nobody can tell."""
        return await self._facts.relevant(self.inner, owner, text) if self.inner else []

    def know_by_meaning(self, meaning: Meaning) -> None:
        """From now on facts are thought of by meaning as well."""
        self._facts.meaning = meaning

    def facts_changed(self, owner: str) -> None:
        """They are read anew."""
        self._facts.forget(owner)
