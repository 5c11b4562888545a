"""`jota db`: look after the store from the command line."""

from .db import db

__all__ = ["db"]
