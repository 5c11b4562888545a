"""What a route is: path, who may, what comes in. The router and the document are made of these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from jota_core.api import JotaError

if TYPE_CHECKING:
    from ..people.registry import Identity
    from ..sql.store import SqlStore

Who = Literal["open", "bearer", "presented", "client", "owner", "caller", "service", "admin"]
"""Whose key it takes. `presented`: the route looks at it itself; `client`: a client's, or a service's that
names one; `owner`: the same, and the one named may be new; `bearer`: none, but one is looked at."""


class Nothing(BaseModel):
    """No query, no body."""


class HttpError(JotaError):
    """An answer that is an error, in the public JotaDB's words where it has some."""

    def __init__(self, status: int, error: JotaError, headers: dict[str, str] | None = None) -> None:
        super().__init__(error.code, error.sentence, error.retry_after_s)
        self.status = status
        self.headers = headers or {}


@dataclass(slots=True)
class Call:
    """One request, checked."""

    store: SqlStore
    path: dict[str, Any]
    query: Any
    body: Any
    identity: Identity | None = None
    owner: str = ""
    """Whose rows are meant; empty where nobody was named."""
    key: str = ""
    """The key that was shown."""
    service: str = ""
    """What `X-Service-ID` says."""
    changed: Callable[[str], None] = lambda _: None
    """Tell that somebody's key or configuration is another now."""


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    handler: Handler
    summary: str
    who: Who = "bearer"
    query: type[BaseModel] = Nothing
    body: type[BaseModel] | None = None
    status: int = 200
    content: str = "application/json"
    for_others: bool = False
    """A host asks whose key it was shown, and counts the wrong ones itself."""
