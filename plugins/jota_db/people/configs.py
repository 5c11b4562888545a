"""How each client likes it: `ClientConfig` of the public JotaDB, checked."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ..sql.people import client_configs
from ..sql.shelf import Entry, Shelf
from ..sql.statement import Sql

CONFIGS = Shelf(client_configs)
Short = Annotated[str, Field(min_length=1, max_length=200)]


class ClientConfig(BaseModel):
    """All of it, with what is usual."""

    model_config = ConfigDict(extra="forbid", strict=True)

    stt_language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$|^auto$")] = "es"
    stt_model: Short | None = None
    stt_vad_thold: Annotated[float, Field(ge=0, le=1)] = 0.0
    tts_voice: Short = "af_heart"
    tts_speed: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    preferred_model_id: Short | None = None
    system_prompt_extra: Annotated[str, Field(max_length=20_000)] | None = None
    barge_in_enabled: bool = True
    barge_in_min_chars: Annotated[int, Field(ge=0, le=1000)] = 5
    conversation_memory_limit: Annotated[int, Field(ge=0, le=1000)] = 20


USUAL = ClientConfig().model_dump()


def config_of(sql: Sql, client: str) -> Entry | None:
    """A client's own; None while it has none, which means the usual."""
    return CONFIGS.one(sql, client_id=client)


def made_config(sql: Sql, client: str) -> Entry:
    """A client's own, made if there is none."""
    return config_of(sql, client) or CONFIGS.add(sql, client_id=client, version=1, **USUAL)


def changed_config(sql: Sql, client: str, values: dict[str, Any]) -> Entry:
    """After some members were set; they are checked already."""
    made_config(sql, client)
    changed = CONFIGS.change(sql, client, values)
    assert changed is not None
    return changed
