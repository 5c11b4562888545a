"""What a satellite says of itself in its first frame, and what it is told then."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Output = Literal["audio", "text", "status"]
OUTPUTS: tuple[Output, ...] = ("audio", "text", "status")


class Hello(BaseModel):
    """The first frame; members that are not known are ignored."""

    model_config = ConfigDict(frozen=True)

    client_key: Annotated[str, Field(max_length=512)] | None = None
    input_mode: Literal["audio", "text"] = "audio"
    output_mode: tuple[Output, ...] = OUTPUTS
    agent: str = "main"
    device_id: Annotated[str, Field(max_length=128)] | None = None
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$|^auto$")] | None = None
    """Ours: what is spoken here."""


def hello_of(text: str) -> Hello | None:
    """None when it is no first frame."""
    try:
        return Hello.model_validate(orjson.loads(text))
    except (orjson.JSONDecodeError, ValidationError):
        return None


def ready(hello: Hello, session_id: str, *, hears: bool, speaks: bool) -> dict[str, Any]:
    """Our answer; older satellites read `capabilities`, newer ones the other two."""
    wanted = {
        "barge_in": True,
        "tts": "audio" in hello.output_mode,
        "transcriber": hello.input_mode == "audio",
    }
    live = {"barge_in": hears, "tts": speaks, "transcriber": hears}
    return {
        "type": "ready", "session_id": session_id, "agent": hello.agent, "input_mode": hello.input_mode,
        "output_mode": list(hello.output_mode), "requested_capabilities": wanted, "live_capabilities": live,
        "capabilities": live,
    }  # fmt: skip
