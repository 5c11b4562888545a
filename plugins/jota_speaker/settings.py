"""What `jota.yaml` may say in a section of this plugin."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from jota_core.api import Settings, is_loopback, split_listen


class SpeakerSettings(Settings):
    """A speaker: offers this host's voices to other machines."""

    listen: str = "127.0.0.1:8005"
    """Address and port of WebSocket and HTTP."""
    wyoming: str | None = None
    """Address and port for Home Assistant (`0.0.0.0:20424`); that protocol knows no keys."""
    token: SecretStr | None = None
    """What clients send as `token`, or as Bearer."""
    keys_required: bool = False
    """Let nobody in without a token, even when none stands here: keys of `jota clients` count."""
    max_connections: int = Field(64, ge=1, le=10_000)
    """Connections at once, of each protocol."""
    session_s: float = Field(300.0, gt=0, le=86_400)
    """Longest session over the WebSocket."""
    waiting: int = Field(100, ge=1, le=10_000)
    """Sentences of one session that may wait; one more ends it with `queue_full`."""
    send_s: float = Field(10.0, gt=0, le=600)
    """Seconds that a client may leave sound unread before it is cut."""

    @field_validator("listen", "wyoming")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None:
            split_listen(value)
        return value

    @property
    def is_open(self) -> bool:
        """Whether callers without a token are let in."""
        return self.token is None and not self.keys_required

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the WebSocket."""
        return is_loopback(split_listen(self.listen)[0])
