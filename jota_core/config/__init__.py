"""YAML text to validated settings, or a list of sentences with places."""

from .loader import CORE, Config, load
from .problems import BrokenPlugin, ConfigProblems, LeftOut, Place, Problem, UnknownPlugin, nearest
from .redaction import Redaction
from .schema import json_schema
from .sections import PluginClass, SectionConfig
from .settings import AssistantSettings, HostSettings, RoutingSettings, TurnSettings

__all__ = [
    "CORE",
    "AssistantSettings",
    "BrokenPlugin",
    "Config",
    "ConfigProblems",
    "HostSettings",
    "LeftOut",
    "Place",
    "PluginClass",
    "Problem",
    "Redaction",
    "RoutingSettings",
    "SectionConfig",
    "TurnSettings",
    "UnknownPlugin",
    "json_schema",
    "load",
    "nearest",
]
