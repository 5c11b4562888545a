"""Plugins: find, build, call and supervise them."""

from .backoff import Pace
from .context import Services
from .dispatcher import Dispatcher
from .finder import Finder
from .lag import LoopWatch
from .offers import Offer, Offers
from .supervisor import Supervisor

__all__ = [
    "Dispatcher",
    "Finder",
    "LoopWatch",
    "Offer",
    "Offers",
    "Pace",
    "Services",
    "Supervisor",
]
