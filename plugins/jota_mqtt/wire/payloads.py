"""What nodes and others send, checked at the edge."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jota_core.api import Code, Refused

from .topics import REQUEST_ID

LONGEST = 65_536
"""Bytes of a payload that is no sound."""
Line = Annotated[str, Field(max_length=128)]
Id = Annotated[str, Field(pattern=f"^{REQUEST_ID.pattern}$")]


class Payload(BaseModel):
    """Members that are not known are ignored: nodes may be newer than we are."""

    model_config = ConfigDict(frozen=True)


P = TypeVar("P", bound=Payload)


class Asked(Payload):
    """`req/text`, `req/ask`, `req/say`."""

    text: str
    id: Id | None = None
    conversation_id: Annotated[int, Field(ge=0, le=10**18)] | None = None


class AudioStart(Payload):
    """`req/audio/start`."""

    turn: Annotated[int, Field(ge=0)] = 0
    codec: Literal["pcm16"] = "pcm16"
    rate: Annotated[int, Field(ge=8000, le=48_000)] = 16_000
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$|^auto$")] | None = None
    wake_word: Line | None = None


class TurnNamed(Payload):
    """`req/audio/stop`, `req/cancel`: the turn meant, or whichever runs."""

    turn: Annotated[int, Field(ge=0)] | None = None


class Sound(Payload):
    """What a node can do with sound."""

    up: Any = None
    down: Any = None
    frame_ms: Annotated[int, Field(ge=10, le=100)] = 60


class Info(Payload):
    """`info`: what a node is."""

    name: Line | None = None
    area: Line | None = None
    firmware: Line | None = None
    hardware: Line | None = None
    proto: Line | None = None
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$")] | None = None
    audio: Sound = Sound()
    features: dict[Line, Any] = Field(default_factory=dict, max_length=32)


class Owner(Payload):
    """`owner`: which host serves a node, and until when it says so (seconds since 1970)."""

    host: Line
    epoch: Annotated[int, Field(ge=0)]
    until: float


class Older(Payload):
    """`jota/stt` of deployments of before."""

    client_id: Line
    text: str


def read(kind: type[P], payload: bytes) -> P:
    """The JSON object in a payload; nothing at all is an empty one. Raises `Refused`."""
    _check_size(payload)
    try:
        told = orjson.loads(payload) if payload.strip() else {}
        return kind.model_validate(told)
    except orjson.JSONDecodeError as error:
        raise Refused(Code.INVALID_REQUEST, f"The payload is not JSON: {error.msg}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the payload"
        raise Refused(Code.INVALID_REQUEST, f"{place}: {first['msg']}.") from None


def read_asked(payload: bytes) -> Asked:
    """A text, or an object with one. Raises `Refused`."""
    _check_size(payload)
    if payload.lstrip()[:1] == b"{":
        return read(Asked, payload)
    return Asked(text=text_of(payload))


def text_of(payload: bytes) -> str:
    """Raises `Refused`."""
    _check_size(payload)
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise Refused(Code.INVALID_REQUEST, "The payload is not UTF-8 text.") from None


def _check_size(payload: bytes) -> None:
    if len(payload) > LONGEST:
        raise Refused(Code.TOO_LARGE, f"A payload has at most {LONGEST} bytes, not {len(payload)}.")
