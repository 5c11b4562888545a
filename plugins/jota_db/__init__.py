"""Jota's own memory: conversations, turns and messages in one SQLite file."""

from .plugin import JotaDb

__all__ = ["JotaDb"]
