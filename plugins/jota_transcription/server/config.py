"""The `config` frame, checked at the edge; members that are not known are ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jota_core.api import AudioFormat, ListenOptions

PROTOCOL = 1


class Config(BaseModel):
    """What a client wants. From `encoding` on the members are ours."""

    model_config = ConfigDict(frozen=True, strict=True)

    language: Annotated[str, Field(pattern="^[a-z]{2,3}$|^auto$")] | None = None
    token: Annotated[str, Field(max_length=512)] | None = None
    vad_thold: Annotated[float, Field(ge=0, le=1)] | Annotated[int, Field(ge=0, le=1)] = 0.0
    encoding: Literal["float32", "pcm16"] = "float32"
    rate: Annotated[int, Field(ge=8000, le=48_000)] = 16_000
    channels: Literal[1, 2] = 1
    ends_itself: bool = False
    """End when the speaker has fallen silent."""
    partials: bool = True
    prompt: Annotated[str, Field(max_length=500)] = ""

    @property
    def audio(self) -> AudioFormat:
        """How sound comes."""
        return AudioFormat(self.encoding, self.rate, self.channels)

    def options(self, usual: str, limit_s: float) -> ListenOptions:
        """What the backend is asked for."""
        return ListenOptions(
            language=self.language or usual, ends_itself=self.ends_itself, partials=self.partials,
            prompt=self.prompt, threshold=float(self.vad_thold) or None, limit_s=limit_s,
        )  # fmt: skip


def config_of(fields: dict[str, Any]) -> Config:
    """Raises `ValueError` with a sentence."""
    try:
        return Config.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "config"
        raise ValueError(f"`{place}` is not right: {first['msg']}.") from None


def ready(session_id: str, language: str) -> dict[str, Any]:
    """Our answer to `config`; `features` tells a client of ours what it may ask for."""
    told = {"language": language, "sample_rate": 16_000, "beam_size": 1}
    return {
        "type": "ready", "protocol_version": PROTOCOL, "session_id": session_id, "config": told,
        "features": ["ends_itself", "pcm16", "partials"],
    }  # fmt: skip
