"""Writes a new plugin's package that passes ruff, mypy and its own tests at once."""

from .names import Names, ScaffoldError
from .package import KINDS, Kind, create

__all__ = ["KINDS", "Kind", "Names", "ScaffoldError", "create"]
