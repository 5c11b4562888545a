"""Home Assistant shows nodes by itself: one retained document for each, as its MQTT discovery wants it.

Source: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from jota_core import __version__

from ..wire.topics import of_node

if TYPE_CHECKING:
    from ..house import House
    from .node import Node

PHASES = ["idle", "listening", "thinking", "speaking", "error"]
ORIGIN = {"name": "Jota", "sw_version": __version__}


class Discovery:
    """Announces approved nodes, again whenever Home Assistant starts; takes back removed ones."""

    def __init__(self, house: House, prefix: str) -> None:
        self._house = house
        self._prefix = prefix

    async def announce_all(self) -> None:
        """Every node that this host serves."""
        for node in list(self._house.registry):
            if node.known.is_approved:
                await self.announce(node)

    async def announce_named(self, node_id: str) -> None:
        """One node, if it is one of the house."""
        if (node := self._house.registry.get(node_id)) is not None and node.known.is_approved:
            await self.announce(node)

    async def announce(self, node: Node) -> None:
        """One node; one that is not approved is taken back."""
        if not self._house.settings.home_assistant or not self._house.is_mine(node.id):
            return
        payload = orjson.dumps(document(node)) if node.known.is_approved else b""
        await self._house.keep(self._topic(node), payload)

    async def take_back(self, node: Node) -> None:
        """It is no node any more."""
        if self._house.settings.home_assistant:
            await self._house.keep(self._topic(node), b"")

    def _topic(self, node: Node) -> str:
        return f"{self._prefix}/device/jota_{node.id}/config"


def document(node: Node) -> dict[str, Any]:
    """What Home Assistant is told of a node."""
    return {
        "device": _device(node),
        "origin": ORIGIN,
        "components": _components(node),
        "availability": [
            {
                "topic": of_node(node.id, "status"),
                "value_template": "{{ 'offline' if value == 'offline' else 'online' }}",
            }
        ],
        "state_topic": of_node(node.id, "state"),
        "qos": 1,
    }


def _device(node: Node) -> dict[str, Any]:
    told = {
        "identifiers": [f"jota_{node.id}"],
        "name": node.name,
        "manufacturer": "Jota",
        "model": node.info.hardware or "Jota node",
        "sw_version": node.info.firmware,
        "suggested_area": node.known.area or node.info.area,
    }
    return {name: value for name, value in told.items() if value is not None}


def _components(node: Node) -> dict[str, Any]:
    def named(what: str, platform: str, name: str, **more: Any) -> dict[str, Any]:
        return {"platform": platform, "unique_id": f"jota_{node.id}_{what}", "name": name, **more}

    return {
        "phase": named(
            "phase", "sensor", "State", device_class="enum", options=PHASES, icon="mdi:account-voice",
            value_template="{{ value_json.phase | default('idle') }}",
        ),
        "volume": named(
            "volume", "number", "Volume", command_topic=of_node(node.id, "cmd/volume"),
            min=0, max=100, step=1,
            value_template="{{ value_json.volume | default(None) }}", icon="mdi:volume-high",
        ),
        "mute": named(
            "mute", "switch", "Mute", command_topic=of_node(node.id, "cmd/mute"), payload_on="true",
            payload_off="false", state_on="true", state_off="false", icon="mdi:microphone-off",
            value_template="{{ 'true' if value_json.muted | default(false) else 'false' }}",
        ),
        "say": named("say", "notify", "Say", command_topic=of_node(node.id, "req/say")),
    }  # fmt: skip
