"""Contracts: the abstract classes that do the work. Streams go through these, never through hooks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from .errors import BackendError, Code, MemoryStoreError
from .events import ReplyEvent
from .facts import Credentials, Principal
from .generation import Capabilities, GenerateRequest, ModelInfo, Piece, ToolSpec
from .records import Record
from .services import LanOffer
from .speech import (
    AudioFormat,
    ListenOptions,
    SpeakOptions,
    SpeechBackend,
    TranscriptionBackend,
    Utterance,
)
from .turns import Conversation, StoredMessage, TurnOptions, TurnRecord, TurnResult

NO_RECORDS = "This memory keeps nothing but conversations."


class ReplySink(ABC):
    """The only way anything reaches a user; a door hands one in for each session."""

    @abstractmethod
    async def send(self, event: ReplyEvent) -> None:
        """Pass one event on, in order.

        Waits while the user is slow, within the door's limits. Once the user is gone or cut, it
        returns at once and the door closes the session; it never raises for a lost connection.
        """


class Session(ABC):
    """One live attachment of an app or node."""

    __slots__ = ()
    id: str
    principal: Principal

    @property
    @abstractmethod
    def conversation_id(self) -> int | None:
        """The conversation that turns go to; None until the first one when opened lazily."""

    @abstractmethod
    def submit(self, text: str, options: TurnOptions = TurnOptions(), *, turn_id: str | None = None) -> str:
        """Queue one turn and return its id; everything else comes through the reply sink.

        Turns of one conversation run one after the other, in order. A `turn_id` of the door's own
        (letters, digits, `:`, `_`, `-`; at most 64) makes a turn that is submitted again run once: the
        second time it is told what came of the first. Raises `Refused` (`invalid_request`, `too_large`,
        `busy`, `server_restart`); then nothing was stored.
        """

    @abstractmethod
    def cancel(self, turn_id: str | None = None) -> bool:
        """Abort the running turn (or the one named, queued or running); False when there is none."""

    @abstractmethod
    def begin_utterance(
        self,
        options: ListenOptions = ListenOptions(),
        audio: AudioFormat = AudioFormat(),
        *,
        turn: TurnOptions | None = TurnOptions(),
        barge_in_chars: int = 0,
    ) -> Utterance:
        """Listen: feed the utterance sound of format `audio`; what is heard comes through the reply sink.

        Its text becomes a turn with these options, unless that is None. With `barge_in_chars`, so many
        characters of speech cut an answer that is being given. Raises `Refused` (`busy`: one at a time).
        """

    @abstractmethod
    def speak(self, options: SpeakOptions | None) -> None:
        """Say answers aloud as well from the next turn on; with None no longer."""

    @abstractmethod
    async def switch_model(self, model_id: str) -> None:
        """Use another model from the next turn on, for this conversation. Raises `Refused`."""

    @abstractmethod
    async def close(self) -> None:
        """Detach: abort what runs, keep its text, drop what is queued. Safe to call twice."""


class Sessions(ABC):
    """What a door sees of the host."""

    @abstractmethod
    async def authenticate(self, credentials: Credentials) -> Principal:
        """Ask the plugins who this is. Raises `Refused` (`unauthorized`, `forbidden`, …)."""

    @abstractmethod
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
        """Attach a user.

        Without an id the owner's latest conversation goes on (or begins). With `lazy` memory is not
        asked before the first turn. Raises `Refused` (`not_found`, `busy`, `server_restart`) or
        `MemoryStoreError`.
        """

    @property
    @abstractmethod
    def memory(self) -> MemoryStore:
        """The memory in use. Raises `MemoryStoreError` while there is none."""

    @property
    @abstractmethod
    def inference(self) -> InferenceBackend:
        """All inference of this host as one backend, for doors that offer it to other machines."""

    @property
    @abstractmethod
    def transcription(self) -> TranscriptionBackend:
        """All transcription of this host as one backend."""

    @abstractmethod
    def utterance(self, options: ListenOptions, audio: AudioFormat) -> Utterance:
        """An utterance without a session, for doors that offer transcription to other machines."""

    @property
    @abstractmethod
    def speech(self) -> SpeechBackend:
        """All speech of this host as one backend."""

    @abstractmethod
    async def models(self) -> Sequence[ModelInfo]:
        """Models of every available inference backend; ids are unique, first backend wins."""


class Transport(ABC):
    """A door: a way in and out for people and devices."""

    @abstractmethod
    async def serve(self, sessions: Sessions) -> None:
        """Open the door and run until cancelled.

        An `OSError` (port in use) makes the section wait and try again. Call
        `PluginContext.ready()` once it is open.
        """

    def offers(self) -> Sequence[LanOffer]:
        """What it offers to the LAN now: nothing while it is closed. Cheap; asked every second."""
        return ()


class InferenceBackend(ABC):
    """Generates answers, near or far."""

    @property
    @abstractmethod
    def available(self) -> bool:
        """Whether `generate` has a chance now. Cheap; asked at the start of every turn."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do with the model it has."""

    @abstractmethod
    def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        """Stream one answer; the last piece is its `Usage`.

        An async generator: closing it (`aclose`, cancellation) aborts the work at the far end
        within 100 ms. Raises `BackendError`.
        """

    @abstractmethod
    async def models(self) -> Sequence[ModelInfo]:
        """What it could load, the loaded ones marked. Raises `BackendError`."""

    async def load(self, model_id: str) -> None:
        """Make a model ready. Raises `BackendError` (`model_not_found`, `engine_busy`)."""
        raise BackendError(Code.UNSUPPORTED, f"This backend cannot load models; {model_id!r} was asked for.")

    async def unload(self, model_id: str) -> None:
        """Free a model's memory. Raises `BackendError` (`model_not_found`, `engine_busy`)."""
        raise BackendError(
            Code.UNSUPPORTED, f"This backend cannot unload models; {model_id!r} was asked for."
        )

    @abstractmethod
    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text by the loaded model. Raises `BackendError`."""


class MemoryStore(ABC):
    """Conversations and messages.

    Every method that names an owner checks it: another owner's conversation is `not_found`.
    All raise `MemoryStoreError`.
    """

    @property
    @abstractmethod
    def available(self) -> bool:
        """Whether it can be asked now. Cheap."""

    @abstractmethod
    async def open_conversation(
        self, owner: str, conversation_id: int | None = None, *, new: bool = False
    ) -> Conversation:
        """The conversation named, else the owner's latest, else (or with `new`) a fresh one."""

    @abstractmethod
    async def begin_turn(self, turn_id: str, conversation_id: int, owner: str, text: str) -> TurnRecord:
        """Make the user's message durable.

        The same `turn_id` again changes nothing and gives the same record, marked `is_repeated`.
        """

    @abstractmethod
    async def checkpoint(self, record: TurnRecord, text: str) -> None:
        """Keep the answer so far; called about once a second while it grows."""

    @abstractmethod
    async def finish_turn(self, record: TurnRecord, result: TurnResult) -> bool:
        """Make the answer durable, whole or marked. Repeating it changes nothing.

        False when it is on the disk of this host only and waits for the store's return.
        """

    @abstractmethod
    async def recall(self, conversation_id: int, owner: str, *, limit: int) -> Sequence[StoredMessage]:
        """The newest `limit` messages of finished turns, oldest first."""

    @abstractmethod
    async def list_conversations(
        self, owner: str, *, limit: int = 50, offset: int = 0
    ) -> Sequence[Conversation]:
        """An owner's conversations, latest first."""

    @abstractmethod
    async def list_messages(
        self, conversation_id: int, owner: str, *, limit: int = 50, before: str | None = None
    ) -> Sequence[StoredMessage]:
        """The newest `limit` messages (older than message id `before`), oldest first."""

    async def search(self, owner: str, query: str, *, limit: int = 50) -> Sequence[StoredMessage]:
        """An owner's messages with all words of `query`, newest first; accents and capitals do not count."""
        raise MemoryStoreError(Code.UNSUPPORTED, "This memory cannot be searched.")

    @abstractmethod
    async def set_model(self, conversation_id: int, owner: str, model_id: str) -> None:
        """Remember which model a conversation uses."""

    @abstractmethod
    async def delete_conversation(self, conversation_id: int, owner: str) -> None:
        """Remove a conversation with everything in it, for good."""

    async def records(self, collection: str) -> Sequence[Record]:
        """What a plugin keeps under this name, by key; at most 10,000."""
        raise MemoryStoreError(Code.UNSUPPORTED, NO_RECORDS)

    async def save_record(
        self, collection: str, key: str, value: Mapping[str, Any] | None, *, version: int | None = None
    ) -> Record | None:
        """Keep a JSON object of at most 64 KiB, durable when this returns; None forgets it.

        With a `version` only while the record still has it (0: while there is none). Returns the record as
        it is kept now, which is another than `value` when somebody was quicker; None when there is none.
        """
        raise MemoryStoreError(Code.UNSUPPORTED, NO_RECORDS)


class Tool(ABC):
    """Something the model may ask us to do."""

    spec: ToolSpec
    required_role: str = "chat"
    """Role that the principal needs."""
    timeout_s: float = 30.0

    @abstractmethod
    async def call(self, arguments: Mapping[str, Any], principal: Principal) -> str:
        """Do it and return what the model is told. `arguments` match the schema already."""
