"""What `jota.yaml` may say in a section `jota_metrics`."""

from __future__ import annotations

from pydantic import SecretStr, field_validator

from jota_core.api import Settings, is_loopback, split_listen


class MetricsSettings(Settings):
    """Figures for Prometheus at `/metrics` of the app door, and at an address of their own."""

    listen: str | None = None
    """Serve `/metrics`, `/health` and `/health/live` here, too: for hosts without an app door."""
    key: SecretStr | None = None
    """What a scraper shows as its Bearer; needed beyond this machine."""

    @field_validator("listen")
    @classmethod
    def _parse(cls, listen: str | None) -> str | None:
        if listen is not None:
            split_listen(listen)
        return listen

    @property
    def is_safe(self) -> bool:
        """Whether nobody but the owner can read it."""
        return self.listen is None or self.key is not None or is_loopback(split_listen(self.listen)[0])
