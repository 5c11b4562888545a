"""The test kit: a real host for each test, scripted backends, contract classes, leak checks, virtual time.

For authors of plugins, and for Jota's own tests. The fixtures `run_host` and `no_leaks` are there as
soon as `jota` is installed.
"""

from .collecting import CollectingSink, ask
from .hosts import Given, RunHost, free_port, running_host
from .scripted import Script, ScriptedBackend
from .virtual_time import VirtualTimeLoop, virtual_time
from .waiting import until

__all__ = [
    "CollectingSink",
    "Given",
    "RunHost",
    "Script",
    "ScriptedBackend",
    "VirtualTimeLoop",
    "ask",
    "free_port",
    "running_host",
    "until",
    "virtual_time",
]
