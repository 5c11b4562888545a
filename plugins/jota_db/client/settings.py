"""Settings of the client."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from jota_core.api import DISCOVER, MEMORY, Far, Settings


class JotaDbClientSettings(Settings):
    """Which JotaDB, and how long to wait for it."""

    url: str
    """Where it is: `http://db.local:8080`; in earlier deployments `JOTA_DB_URL`. `discover` takes the
    one on the LAN that proves to know `bearer`, and stays with it: another one is another memory."""
    pin: str | None = None
    """With `discover`: only the one with this id or host name (`cellar`)."""
    bearer: SecretStr | None = None
    """The server's own key; in earlier deployments `JOTA_DB_API_KEY`."""
    key: SecretStr
    """This host's key there: `jota clients add NAME --type service`."""
    wait_s: float = Field(default=2.0, gt=0, le=60)
    """A write that takes longer goes into the spool, and the turn goes on."""
    spool_limit: int = Field(default=100_000, gt=0)
    """Writes that may wait for the server's return; beyond, turns are refused."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if url == DISCOVER:
            return url
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ValueError("must be an address such as http://db.local:8080, or discover")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _is_proven(self) -> Self:
        if self.far.is_discovered and self.bearer is None:
            raise ValueError("`url: discover` needs `bearer`: whoever answers has to prove that it knows it")
        return self

    @property
    def far(self) -> Far:
        """What to connect to."""
        port = 443 if self.url.startswith("https:") else 80
        return Far(self.url, MEMORY, ("http", "https"), port, self.pin)
