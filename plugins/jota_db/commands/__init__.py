"""`jota db` and `jota clients`: look after the store from the command line."""

from .clients import clients
from .db import db

__all__ = ["clients", "db"]
