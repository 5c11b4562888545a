"""Settings of the client."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from jota_core.api import Settings


class JotaDbClientSettings(Settings):
    """Which JotaDB, and how long to wait for it."""

    url: str
    """Where it is: `http://db.local:8080`; in earlier deployments `JOTA_DB_URL`."""
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
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ValueError("must be an address such as http://db.local:8080")
        return url.rstrip("/")
