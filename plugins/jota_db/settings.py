"""Settings of a store."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from jota_core.api import Settings, split_listen

from .urls import StoreUrl


class JotaDbSettings(Settings):
    """Where conversations are kept, and for how long."""

    store: str = "sqlite:///jota.db"
    """URL of the store: a file, or a PostgreSQL database that several hosts may share.

    `sqlite:///jota.db` lies in the data folder, `sqlite:////srv/jota.db` is absolute;
    `postgresql://user:password@server/jota`.
    """
    listen: str | None = None
    """Offer the store to other machines here (`0.0.0.0:8080`), in the REST of JotaDB; null offers nothing."""
    key: SecretStr | None = None
    """What every request to `listen` shows as its bearer; needed beyond this machine."""
    service_key: SecretStr | None = None
    """One key of a service that is made without `jota clients`; `key` is needed with it."""
    wrong_keys_per_minute: int = Field(default=10, gt=0)
    """From one address; more are refused with 429 until the minute is over."""
    reminders: bool = True
    """Let reminders fire, and tell them here; of several workers the first does, for all."""
    facts: bool = True
    """Tell the model long-term facts of a client (`jota memory`) when a message reminds of them."""
    facts_by_meaning: bool = False
    """Think of a fact when its meaning is near, too; needs `pip install "jota[meaning]"`."""
    facts_tool: bool = False
    """Let the model keep facts by itself, with the tool `remember_fact`; for models that can call tools."""
    retention_days: float | None = Field(default=None, gt=0)
    """Conversations that nobody touched for so many days are deleted for good; null keeps everything."""

    @field_validator("listen")
    @classmethod
    def _parse(cls, listen: str | None) -> str | None:
        if listen is not None:
            split_listen(listen)
        return listen

    @field_validator("store")
    @classmethod
    def _is_known(cls, url: str) -> str:
        StoreUrl(url).check()
        return url


class FirstSettings(JotaDbSettings):
    """Of the first of several workers; `in_worker` makes them, no YAML does."""

    workers_listen: str
    """Where the others use the store, whatever `listen` offers to anybody else."""
    workers_key: SecretStr
    """Their bearer there, and their key of a service."""
