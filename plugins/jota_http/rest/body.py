"""Request bodies, checked at the edge."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from jota_core.api import Code, Refused

from ..errors import Malformed, TooSlow
from ..wishes import Wishes, sentence_of

B = TypeVar("B", bound=BaseModel)
BODY_S = 30.0
"""Time for a body to arrive."""


class ChatBody(BaseModel):
    """`POST /api/v1/chat`; unknown members are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)

    text: str
    user_id: str | None = None
    client_key: str | None = None
    conversation_id: int | None = None
    new: bool = False
    model_id: str | None = None
    stream: bool = False
    options: Wishes = Wishes()


class ModelBody(BaseModel):
    """`PATCH /api/v1/conversations/{id}/model`."""

    model_config = ConfigDict(strict=True, frozen=True)

    model_id: str
    user_id: str | None = None
    client_key: str | None = None


async def read(request: web.Request, kind: type[B]) -> B:
    """The body as a model. Raises `JotaError` (`invalid_request`, `too_large`)."""
    try:
        async with asyncio.timeout(BODY_S):
            data = await request.read()
    except TimeoutError:
        raise TooSlow(f"The body did not arrive within {BODY_S:g} s.") from None
    except web.RequestPayloadError:
        raise Malformed("The body ended too early or is not encoded as its headers say.") from None
    try:
        return kind.model_validate(orjson.loads(data))
    except orjson.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error.msg} (character {error.pos}).") from None
    except ValidationError as error:
        raise Refused(Code.INVALID_REQUEST, f"In the body, {sentence_of(error)}") from None
