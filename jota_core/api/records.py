"""Records: small things that a plugin keeps in the memory, shared by all hosts that share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """One kept object; `version` counts its changes, from 1."""

    key: str
    value: Mapping[str, Any]
    version: int
