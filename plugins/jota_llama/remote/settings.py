"""What `jota.yaml` may say in a section `jota_openai`."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from jota_core.api import Settings


class RemoteSettings(Settings):
    """Models of a server that speaks OpenAI's chat API: llama-server, Ollama, vLLM and others."""

    url: str = "http://127.0.0.1:11434"
    """Address of the server, with or without `/v1`."""
    key: SecretStr | None = None
    """Its API key, if it wants one."""
    model: str | None = None
    """The model that answers; null is the first one that the server lists."""
    context: int | None = Field(None, ge=256, le=1_048_576)
    """Tokens that prompt and answer fill together; null asks the server, and takes 4096 without an answer."""
    at_once: int = Field(64, ge=1, le=10_000)
    """Answers at once; further turns are refused with `engine_busy`."""

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be http://HOST:PORT or https://HOST:PORT, with or without /v1")
        if parts.username or parts.password:
            raise ValueError("must hold no credentials; the key goes into `key`")
        return value.rstrip("/").removesuffix("/v1")
