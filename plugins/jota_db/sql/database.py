"""What the store needs to know of the database under it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from jota_core.api import Code, JotaError, MemoryStoreError

from .connection import Connection, Readers

OnClose = Callable[[Callable[[], Awaitable[None]]], None]
RETRY_S = 2.0
CONFLICT = "Something with such an id is there already, or what it names is not. Nothing was changed."


class Database(ABC):
    """An open database: one connection that writes, a few that read."""

    name: str
    """For people; without a password."""
    host = 0
    """The number of this host among those that share the database."""
    is_shared = False
    """Whether other hosts write to it as well."""
    writing: Connection
    readers: Readers
    warning = ""
    """What was found when it was opened and somebody should look at."""

    @abstractmethod
    def advice(self, error: Exception) -> str | None:
        """What to do about an error that is the database's; None for any other."""

    @abstractmethod
    def is_conflict(self, error: Exception) -> bool:
        """Whether a write broke a rule of the tables: something is there already, or is not."""

    @abstractmethod
    def is_trouble(self, error: Exception) -> bool:
        """Whether the database itself is unwell, and not one write wrong."""

    @abstractmethod
    async def size(self) -> int:
        """Bytes on disk."""

    async def deleted(self) -> None:  # noqa: B027 - most have nothing to do
        """Something was deleted for good; let nothing of it remain on the disk."""

    async def tend(self) -> None:  # noqa: B027 - as above
        """Whatever has to be done now and then; runs until cancelled or done."""

    def sentence(self, error: Exception) -> str:
        """What is wrong, and what to do."""
        return f"The store {self.name} does not work: {error}. {self.advice(error) or ''}".rstrip()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what the driver raises into `MemoryStoreError`."""
        try:
            yield
        except JotaError:
            raise
        except Exception as error:
            told = MemoryStoreError(Code.INVALID_REQUEST, CONFLICT) if self.is_conflict(error) else None
            told = told or _wrong_value(error)
            if told is None and self.advice(error) is not None:
                told = MemoryStoreError(Code.MEMORY_UNAVAILABLE, self.sentence(error), RETRY_S)
            if told is None:
                raise
            raise told from error


def _wrong_value(error: Exception) -> MemoryStoreError | None:
    """What a driver cannot even send; asyncpg tells why in the cause."""
    for each in (error, error.__cause__):
        if isinstance(each, UnicodeEncodeError):
            sentence = "The text is not valid Unicode: it has half of a surrogate pair."
            return MemoryStoreError(Code.INVALID_REQUEST, sentence)
        if isinstance(each, OverflowError):
            return MemoryStoreError(Code.NOT_FOUND, "There is no conversation with such a number.")
    return None
