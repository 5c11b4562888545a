"""What apps send over a WebSocket, checked at the edge."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jota_core.api import Code, Refused

from ..wishes import Wishes, sentence_of


class Command(BaseModel):
    """Base of control frames: members of other versions are ignored, wrong types are not."""

    model_config = ConfigDict(strict=True, frozen=True)


class Prompt(Command):
    """A question, with an id of the app's own that comes back in every frame about its turn."""

    type: Literal["prompt"]
    text: str
    id: str | int | None = None
    options: Wishes = Wishes()


class Cancel(Command):
    """Abort the turn named by our id or the app's; without any, the one that runs."""

    type: Literal["cancel"]
    turn_id: str | None = None
    id: str | int | None = None


class SwitchModel(Command):
    """Use another model from now on."""

    type: Literal["switch_model"]
    model_id: str


class AudioStart(Command):
    """Sound follows in binary messages."""

    type: Literal["audio_start"]
    encoding: Literal["pcm16", "float32"] = "pcm16"
    rate: int = 16_000
    channels: int = 1
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$|^auto$")] | None = None
    ends_itself: bool = True
    """End when the speaker has fallen silent."""
    prompt: Annotated[str, Field(max_length=500)] = ""
    """Words that are likely to be said."""
    submit: bool = True
    """Make the text a turn."""
    barge_in_min_chars: Annotated[int, Field(ge=0)] = 0
    """So many characters of speech cut the answer that is being given; 0: none do."""
    options: Wishes = Wishes()


class AudioEnd(Command):
    """All sound was sent."""

    type: Literal["audio_end"]


class Speak(Command):
    """Say answers aloud from the next one on, or no longer."""

    type: Literal["speak"]
    on: bool = True
    language: str | None = None
    voice: str | None = None
    speed: Annotated[float, Field(ge=0.25, le=4)] = 1.0


Any_ = Prompt | Cancel | SwitchModel | AudioStart | AudioEnd | Speak
COMMANDS: dict[str, type[Any_]] = {
    "prompt": Prompt,
    "cancel": Cancel,
    "switch_model": SwitchModel,
    "audio_start": AudioStart,
    "audio_end": AudioEnd,
    "speak": Speak,
}


def parse(text: str) -> Any_:
    """A control frame, else the text itself as a prompt. Raises `Refused` (`invalid_request`)."""
    fields = _control(text)
    if fields is None:
        return Prompt(type="prompt", text=text)
    kind = fields["type"]
    if not isinstance(kind, str) or kind not in COMMANDS:
        shown = kind if isinstance(kind, str) else orjson.dumps(kind).decode()
        raise Refused(Code.INVALID_REQUEST, f"Unknown control type: '{shown[:64]}'")
    try:
        return COMMANDS[kind].model_validate(fields)
    except ValidationError as error:
        raise Refused(Code.INVALID_REQUEST, f"In this {kind} frame, {sentence_of(error)}") from None


def _control(text: str) -> dict[str, Any] | None:
    """Only an object with a `type` is a control frame; any other JSON is something a user wrote."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) and "type" in fields else None
