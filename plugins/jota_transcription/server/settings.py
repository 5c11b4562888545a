"""What `jota.yaml` may say in a section `jota_transcription_api`."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from jota_core.api import Settings, is_loopback, split_listen


class ApiSettings(Settings):
    """A Transcription API: offers this host's ears to other machines."""

    listen: str = "127.0.0.1:9001"
    """Address and port; other machines reach only an address that is not 127.0.0.1."""
    reuse_port: bool = False
    """Share the port with other processes that do the same; `jota run --workers` sets it."""
    token: SecretStr | None = None
    """What clients send as `token`, or as Bearer; in earlier deployments `AUTH_TOKEN`."""
    keys_required: bool = False
    """Let nobody in without a token, even when none stands here: keys of `jota clients` count."""
    language: str = "es"
    """What is spoken where a client does not say; `auto` finds out."""
    max_connections: int = Field(64, ge=1, le=10_000)
    """Connections at once."""
    max_connections_per_address: int = Field(16, ge=1, le=10_000)
    """Connections at once from one address."""
    idle_s: float = Field(30.0, gt=0, le=3600)
    """A client that sends no sound for so long is sent away."""
    max_stream_s: float = Field(3600.0, gt=0, le=86_400)
    """Longest stream."""
    max_file_s: float = Field(600.0, gt=0, le=86_400)
    """Longest recording, in seconds of sound."""
    max_upload_bytes: int = Field(26_214_400, ge=1024)
    """Largest file."""
    send_s: float = Field(10.0, gt=0, le=600)
    """Seconds that a client may leave what it is told unread before it is cut."""

    @field_validator("listen")
    @classmethod
    def _address(cls, value: str) -> str:
        split_listen(value)
        return value

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return split_listen(self.listen)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.address[0])

    @property
    def is_open(self) -> bool:
        """Whether callers without a token are let in."""
        return self.token is None and not self.keys_required
