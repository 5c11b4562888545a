"""The gate: who is asking, and may they."""

from __future__ import annotations

import asyncio

from aiohttp import web

from jota_core.api import Code, Credentials, Principal, Refused, Sessions, WrongKeys

from .settings import HttpSettings

LONGEST_KEY = 512


class Gate:
    """Finds the key of a request and asks the host whose it is."""

    def __init__(self, sessions: Sessions, settings: HttpSettings, section: str) -> None:
        self.section = section
        self.is_open = settings.is_open
        """Whether callers without a key are let in."""
        self._sessions = sessions
        self._wrong = WrongKeys(settings.wrong_keys_per_minute)

    async def principal(
        self, request: web.Request, user: str | None = None, body_key: str | None = None
    ) -> Principal:
        """Who is asking. Raises `Refused`; wrong keys are counted and answered slowly."""
        user = user if user is not None else request.query.get("user_id")
        return await self.known(key_of(request, body_key), user, request.remote)

    async def known(self, key: str | None, user: str | None, address: str | None) -> Principal:
        """Whose key it is. Raises `Refused`; wrong keys are counted and answered slowly."""
        self._wrong.check(address)
        credentials = Credentials(self.section, checked_user(user), checked_key(key), address)
        try:
            principal = await self._sessions.authenticate(credentials)
        except Refused as error:
            if error.code is Code.UNAUTHORIZED and key is not None:
                await asyncio.sleep(self._wrong.count(address))
            raise
        if "chat" not in principal.roles:
            raise Refused(Code.FORBIDDEN, "This key is not for chatting; it lacks the role `chat`.")
        return principal


def key_of(request: web.Request, body_key: str | None) -> str | None:
    """The key, from the first place that has one."""
    if (key := request.headers.get("x-client-key")) is not None:
        return key
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    query = request.query
    return query.get("x_client_key", query.get("client_key", body_key))


def checked_key(key: str | None) -> str | None:
    """Raises `Refused` for what cannot be a key."""
    if key is not None and (not key or len(key) > LONGEST_KEY or not key.isprintable()):
        raise Refused(
            Code.UNAUTHORIZED, "This is not a key: it is empty, too long or has control characters."
        )
    return key


def checked_user(user: str | None) -> str | None:
    """Raises `Refused` for what cannot be a user id."""
    if user is not None and (not 0 < len(user) <= 128 or not user.isprintable() or "/" in user):
        raise Refused(
            Code.INVALID_REQUEST,
            "A user id has 1 to 128 printable characters and no slash; choose another.",
        )
    return user


def conversation_of(text: str | None) -> int | None:
    """A conversation id from an address. Raises `Refused`."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Refused(Code.NOT_FOUND, "There is no such conversation; its id is a number.")
    return int(text)
