"""Members of requests and answers that many routes share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

from ..sql.rows import moment
from ..sql.shelf import Entry

LONGEST_TEXT = 1_000_000
MOST_ROWS = 1000
TIMES = ("created_at", "updated_at", "start_at", "end_at", "trigger_at", "fired_at")


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character cannot be stored")
    return text


def _sendable(value: Any) -> Any:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"this cannot be kept: {error}") from None
    return value


def _microseconds(at: datetime) -> int:
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1_000_000)


Json = Annotated[Any, AfterValidator(_sendable)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_sendable)]
Text = Annotated[str, AfterValidator(_storable), Field(max_length=LONGEST_TEXT)]
Line = Annotated[str, AfterValidator(_storable), Field(min_length=1, max_length=500)]
Moment = Annotated[datetime, AfterValidator(_microseconds), PlainSerializer(lambda at: at)]
"""A time; without a zone it is UTC."""
Limit = Annotated[int, Field(ge=1, le=MOST_ROWS)]
Offset = Annotated[int, Field(ge=0, le=1_000_000_000)]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Body(BaseModel):
    """Members that are not known are left alone, as the public JotaDB does."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Patch(Body):
    """A change: only what is there is changed."""

    version: Version | None = None
    """The version that the change was made for; another one is a conflict."""

    def given(self) -> dict[str, Any]:
        """What is there, without the version."""
        return self.model_dump(exclude_unset=True, exclude={"version"})


class Page(BaseModel):
    """A page of a list."""

    limit: Limit = 50
    offset: Offset = 0


def told(entry: Entry, *hidden: str) -> dict[str, Any]:
    """A row as it leaves: times as naive UTC, as the public JotaDB writes them."""
    return {
        name: iso(value) if name in TIMES and value is not None else value
        for name, value in entry.items()
        if name not in hidden
    }


def iso(microseconds: int) -> str:
    """A stored time, naive, in UTC."""
    return moment(microseconds).replace(tzinfo=None).isoformat(timespec="microseconds")
