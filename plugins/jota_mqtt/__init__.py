"""Edge nodes over MQTT: buttons, displays, microphones and flows are citizens of the house."""

from .plugin import JotaMqtt

__all__ = ["JotaMqtt"]
