"""Who is asking: the bearer of the server, and the key of whom it asks for."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING

from aiohttp import web

from jota_core.api import Code, Refused, WrongKeys

from ..people.authenticator import Authenticator
from ..people.registry import CLIENTS, Identity
from .routes import Call, HttpError, Route

if TYPE_CHECKING:
    from pydantic import SecretStr

LONGEST_KEY = 512
CODES = {401: Code.UNAUTHORIZED, 403: Code.FORBIDDEN, 404: Code.NOT_FOUND}


def no(status: int, sentence: str) -> HttpError:
    """An error in the public JotaDB's words."""
    code = CODES.get(status, Code.INVALID_REQUEST)
    return HttpError(status, Refused(code, sentence))


class Guessed(HttpError):
    """A key that nobody holds: perhaps somebody is guessing."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(status, Refused(CODES[status], sentence))


class Gate:
    """Two layers: `Authorization: Bearer`, and `X-API-Key` with `X-Client-ID`."""

    def __init__(self, bearer: SecretStr | None, authenticator: Authenticator, wrong_per_minute: int) -> None:
        self._bearer = _digest(bearer.get_secret_value()) if bearer else None
        self._authenticator = authenticator
        self._wrong = WrongKeys(wrong_per_minute)

    async def let_in(self, request: web.Request, route: Route, call: Call) -> None:
        """Fill in who asks and for whom. Raises `HttpError`, `Guessed`, `Refused`."""
        if route.who == "open":
            return
        self._wrong.check(request.remote)
        self._check_bearer(request)
        await self._identify(request, route, call)

    async def slow_down(self, request: web.Request) -> None:
        """Count a wrong key, and let its sender wait."""
        await asyncio.sleep(self._wrong.count(request.remote))

    def _check_bearer(self, request: web.Request) -> None:
        if self._bearer is None:
            return
        header = request.headers.get("Authorization")
        if header is None:
            raise no(401, "Missing authorization header")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise no(401, "Invalid authentication scheme. Expected 'Bearer <token>'")
        if not compare_digest(_digest(token.strip()), self._bearer):
            raise Guessed(403, "Invalid API key")

    async def _identify(self, request: web.Request, route: Route, call: Call) -> None:
        call.key = request.headers.get("X-API-Key", "")
        call.service = request.headers.get("X-Service-ID", "")
        named = request.headers.get("X-Client-ID", "")
        if route.who == "presented":
            return
        if route.who == "bearer":
            if call.key:
                await self._optional(call, named)
            return
        if not call.key:
            raise no(422, "Missing header X-API-Key")
        identity = await self._holder(call)
        if route.who in ("client", "owner"):
            call.owner = await self._owner(call, identity, named, may_be_new=route.who == "owner")
        elif route.who == "service" and identity.kind not in ("service", "admin"):
            raise no(401, "Invalid service API Key")
        elif route.who == "admin" and identity.kind != "admin":
            raise no(401, "Invalid admin key")
        if not identity.is_active:
            raise no(403 if route.who == "admin" else 401, "This key was revoked")
        call.identity = identity

    async def _optional(self, call: Call, named: str) -> None:
        """The agenda belongs to whom is named, else to the house."""
        identity = await self._holder(call)
        if not identity.is_active:
            raise no(401, "Invalid API Key")
        call.identity = identity
        if identity.kind == "client" or named:
            call.owner = await self._owner(call, identity, named, may_be_new=False)

    async def _owner(self, call: Call, identity: Identity, named: str, *, may_be_new: bool) -> str:
        if not identity.is_active:
            raise no(401, "Invalid API Key")
        if identity.kind == "client":
            if named and named != identity.id:
                raise no(403, "API Key does not match provided Client ID")
            return identity.id
        if identity.kind == "node":
            raise no(403, "A node's key speaks for nobody else")
        if not named:
            raise no(400, "X-Client-ID header is required for service access")
        if "\0" in named or len(named) > 128:
            raise no(422, "X-Client-ID is not a client id")
        if not may_be_new and await call.store.read(lambda sql: CLIENTS.one(sql, id=named)) is None:
            raise no(404, "Target Client not found")
        return named

    async def _holder(self, call: Call) -> Identity:
        identity = None
        if len(call.key) <= LONGEST_KEY and call.key.isprintable():
            identity = await self._authenticator.identity(call.store, call.key)
        if identity is None:
            raise Guessed(401, "Invalid API Key")
        return identity


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
