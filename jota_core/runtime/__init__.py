"""Runs turns: sessions, conversations, routing, tools and the bus. Knows the words of `api`, nothing else."""

from .bus import Bus
from .lan import HostLan, LanParts
from .parts import Assistant, Hooks, Limits, Parts
from .routing import Routing
from .sessions import SessionHub
from .tools import Toolbox
from .voices import HostSpeech, HostTranscription

__all__ = [
    "Assistant",
    "Bus",
    "Hooks",
    "HostLan",
    "HostSpeech",
    "HostTranscription",
    "LanParts",
    "Limits",
    "Parts",
    "Routing",
    "SessionHub",
    "Toolbox",
]
