"""HTTP routes that any plugin may offer without knowing the HTTP library of the door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from .facts import Principal


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request that a door has checked already."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    principal: Principal | None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What the door sends back."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """One path; `open_to_all` routes are served without a key."""

    method: str
    path: str
    handler: Callable[[HttpRequest], Awaitable[HttpResponse]]
    summary: str
    open_to_all: bool = False
