"""What `jota.yaml` may say in a section `jota_inference_center`."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from jota_core.api import Settings, is_loopback, split_listen


class CenterSettings(Settings):
    """An Inference Center: offers this host's models to other machines."""

    listen: str = "127.0.0.1:3000"
    """Address and port; other machines reach only an address that is not 127.0.0.1."""
    reuse_port: bool = False
    """Share the port with other processes that do the same; `jota run --workers` sets it."""
    keys: dict[str, SecretStr] = Field({})
    """Keys by client id."""
    key_list: SecretStr | None = None
    """The same as one text: `id=key,id=key`."""
    headers_required: bool = False
    """Answer 401 to a client that sends no credentials in its headers, instead of waiting for `auth`."""
    max_sessions: int = Field(64, ge=1, le=10_000)
    """Live sessions of one client id, over all its connections."""
    max_connections: int = Field(256, ge=1, le=100_000)
    """Connections at once."""
    auth_s: float = Field(10.0, gt=0, le=600)
    """Seconds that a client without headers has for `auth`."""
    send_s: float = Field(10.0, gt=0, le=600)
    """Seconds that a client may leave its answers unread before it is cut."""

    @field_validator("listen")
    @classmethod
    def _address(cls, value: str) -> str:
        split_listen(value)
        return value

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if any("=" not in pair for pair in self._listed()):
            raise ValueError("`key_list` must be `id=key,id=key`")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return split_listen(self.listen)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.address[0])

    @property
    def all_keys(self) -> dict[str, str]:
        """Keys by client id, from both settings."""
        listed = dict(pair.strip().split("=", 1) for pair in self._listed())
        return {**listed, **{name: key.get_secret_value() for name, key in self.keys.items()}}

    def _listed(self) -> list[str]:
        text = self.key_list.get_secret_value() if self.key_list else ""
        return [pair for pair in text.split(",") if pair.strip()]
