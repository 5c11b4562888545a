"""What `jota.yaml` may say in a section `jota_transcription`."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from jota_core.api import DISCOVER, TRANSCRIPTION, Far, Settings


class TranscriptionSettings(Settings):
    """The ears of another machine: our Transcription API or the C++ one."""

    url: str
    """Where it is: `ws://greenhouse.local:9001`; in earlier deployments `TRANSCRIPTION_SERVICE_URL`.
    `discover` takes one on the LAN that proves to know `token`."""
    pin: str | None = None
    """With `discover`: only the one with this id or host name (`greenhouse`)."""
    token: SecretStr | None = None
    """What it asks for as `token`."""
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$|^auto$")] = "auto"
    """What is spoken where nothing else was asked for."""
    connect_s: float = Field(5.0, gt=0, le=60)
    """Seconds that a connection may take."""
    final_s: float = Field(20.0, gt=0, le=600)
    """Seconds that the last words may take after the end of the sound."""

    @field_validator("url")
    @classmethod
    def _is_ws(cls, url: str) -> str:
        if url == DISCOVER:
            return url
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError("must be an address such as ws://greenhouse.local:9001, or discover")
        return url

    @model_validator(mode="after")
    def _is_proven(self) -> Self:
        if self.far.is_discovered and self.token is None:
            raise ValueError("`url: discover` needs `token`: whoever answers has to prove that it knows it")
        return self

    @property
    def far(self) -> Far:
        """What to connect to."""
        port = 443 if self.url.startswith("wss:") else 80
        return Far(self.url, TRANSCRIPTION, ("ws", "wss"), port, self.pin)

    @property
    def secret(self) -> str:
        """The token, as text."""
        return self.token.get_secret_value() if self.token else ""
