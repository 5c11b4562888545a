"""Settings of the app door."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from jota_core.api import Settings, is_loopback, split_listen

ROLES = frozenset({"chat", "node", "service", "admin"})


class KeySettings(Settings):
    """One static key."""

    key: SecretStr
    """The secret; a reference such as `{env: JOTA_APP_KEY}`. `openssl rand -hex 32` makes a good one."""
    roles: frozenset[str] = frozenset({"chat"})
    """What it may do: `chat`, `node`, `service`, `admin`."""
    user: str | None = None
    """The only user it speaks for; without it the caller names the user."""

    @field_validator("key")
    @classmethod
    def _usable(cls, key: SecretStr) -> SecretStr:
        secret = key.get_secret_value()
        if not secret or not secret.isprintable():
            raise ValueError("a key must be printable text that is not empty")
        return key

    @field_validator("roles")
    @classmethod
    def _known(cls, roles: frozenset[str]) -> frozenset[str]:
        if unknown := sorted(roles - ROLES):
            raise ValueError(f"{unknown[0]!r} is not a role; roles are {', '.join(sorted(ROLES))}")
        return roles


class HttpSettings(Settings):
    """What the door listens on, whom it lets in and how much it bears."""

    listen: str = "127.0.0.1:8000"
    """Address and port; beyond loopback (`0.0.0.0:8000`) only with keys. Port 0 takes any free one."""
    keys: dict[str, KeySettings] = Field(default_factory=dict)
    """Static keys by name. With any, every request needs one; without, the door is open."""
    keys_required: bool = False
    """Let nobody in without a key, even when none stands here: those of `jota clients` count."""
    default_user: str = "api_user"
    """Whose conversation it is when the caller names nobody."""
    allowed_hosts: tuple[str, ...] = ()
    """More names that this machine is called by (`jota.example.org`); `*` allows all."""
    allowed_origins: tuple[str, ...] = ()
    """Web pages of other servers that may talk to Jota (`https://app.example.org`); `*` allows all."""
    max_connections: Annotated[int, Field(gt=0)] = 20_000
    """Open connections of all kinds; more are refused with 503."""
    max_message_bytes: Annotated[int, Field(ge=1024)] = 1_048_576
    """Longest WebSocket message."""
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1_048_576
    """Longest request body."""
    handshake_s: Annotated[float, Field(gt=0)] = 10.0
    """Time for a request to arrive; also how long an idle HTTP connection is kept."""
    reuse_port: bool = False
    """Share the port with other processes that do the same; `jota run --workers` sets it."""
    heartbeat_s: Annotated[float, Field(ge=1)] = 30.0
    """A WebSocket that is silent for this long is pinged, and cut when it stays silent as long again."""
    slow_s: Annotated[float, Field(gt=0)] = 10.0
    """A client that does not read for this long is cut."""
    wrong_keys_per_minute: Annotated[int, Field(gt=0)] = 10
    """From one address; more are refused with 429 until the minute is over."""

    @field_validator("listen")
    @classmethod
    def _parse(cls, listen: str) -> str:
        split_listen(listen)
        return listen

    @property
    def is_open(self) -> bool:
        """Whether callers without a key are let in."""
        return not self.keys and not self.keys_required

    @cached_property
    def address(self) -> tuple[str, int]:
        """Host (empty: all interfaces) and port."""
        return split_listen(self.listen)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the door."""
        return is_loopback(self.address[0])
