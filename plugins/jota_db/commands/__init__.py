"""`jota db`, `jota clients` and `jota memory`: look after the store from the command line."""

from .clients import clients
from .db import db
from .memory import memory

__all__ = ["clients", "db", "memory"]
