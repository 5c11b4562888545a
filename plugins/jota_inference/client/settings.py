"""What `jota.yaml` may say in a section `jota_inference`."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from jota_core.api import DISCOVER, INFERENCE, Far, Settings


class InferenceSettings(Settings):
    """Models of another machine, through its Inference Center (ours or the C++ one)."""

    url: str = "ws://127.0.0.1:3000"
    """Address of the center, as in ws://greenhouse.local:3000/api/inference; `discover` takes every center on
    the LAN that proves to know `key`."""
    pin: str | None = None
    """With `discover`: only the one with this id or host name (`greenhouse`)."""
    client_id: str = Field("orchestrator", min_length=1, max_length=200)
    """Who we are there."""
    key: SecretStr | None = None
    """Our key there; a center on this machine may want none."""
    context: int | None = Field(None, ge=256, le=1_048_576)
    """Tokens that prompt and answer fill together; null asks the center, and takes 4096 of a C++ one."""
    sessions: int = Field(64, ge=1, le=10_000)
    """Most sessions that we keep there; the center's own limit counts, too."""
    waiting: int = Field(64, ge=0, le=10_000)
    """Turns that may wait for a session; further ones are refused with `engine_busy`."""
    waiting_s: float = Field(60.0, gt=0, le=3600)
    """Seconds that a turn waits for a session."""
    create_s: float = Field(5.0, gt=0, le=600)
    """Seconds that the center has to make a session."""
    retry_s: float = Field(2.0, ge=0.1, le=3600)
    """Longest pause between two tries to get a lost connection back."""
    first_retry_s: float = Field(60.0, ge=0.1, le=3600)
    """The same while there never was one."""
    silent_s: float = Field(30.0, ge=1, le=3600)
    """Given up when it answers no ping for so long; the C++ one is silent while it loads a model."""

    @field_validator("url")
    @classmethod
    def _websocket(cls, value: str) -> str:
        if value == DISCOVER:
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError("must be ws://HOST:PORT or wss://HOST:PORT, with any path; or discover")
        if parts.username or parts.password:
            raise ValueError("must hold no credentials; they go into `client_id` and `key`")
        return value

    @model_validator(mode="after")
    def _is_proven(self) -> Self:
        if self.far.is_discovered and self.key is None:
            raise ValueError("`url: discover` needs `key`: whoever answers has to prove that it knows it")
        return self

    @property
    def far(self) -> Far:
        """What to connect to."""
        return Far(self.url, INFERENCE, ("ws", "wss"), 443 if self.url.startswith("wss:") else 80, self.pin)
