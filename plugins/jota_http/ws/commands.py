"""What apps send over a WebSocket, checked at the edge."""

from __future__ import annotations

from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

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


COMMANDS: dict[str, type[Prompt | Cancel | SwitchModel]] = {
    "prompt": Prompt,
    "cancel": Cancel,
    "switch_model": SwitchModel,
}


def parse(text: str) -> Prompt | Cancel | SwitchModel:
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
