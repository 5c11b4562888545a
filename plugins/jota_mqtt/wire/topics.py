"""Topics of `jota/v1`, and who may be meant by one. See docs/reference/edge-nodes.md."""

from __future__ import annotations

import re

ROOT = "jota/v1"
NODES = f"{ROOT}/nodes/"
HOSTS = f"{ROOT}/host/"
NODE_ID = re.compile(r"[a-z0-9-]{1,64}")
REQUEST_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
FOREIGN = ("$", "jota/", "homeassistant/")
"""A response topic begins with none of these, or it is below the node's own root."""
OLDER_STT, OLDER_RESPONSE = "jota/stt", "jota/response/"
"""Deployments of before: `{"client_id", "text"}` in, the answer's text out."""


def of_node(node: str, *parts: str) -> str:
    """`jota/v1/nodes/<id>/…`."""
    return NODES + "/".join((node, *parts))


def of_host(host: str, *parts: str) -> str:
    """`jota/v1/host/<id>/…`."""
    return HOSTS + "/".join((host, *parts))


def split(topic: str, root: str = NODES) -> tuple[str, str] | None:
    """Node id and the rest of a topic below `root`; None when it is none or the id is not one."""
    id_, slash, rest = topic.removeprefix(root).partition("/")
    if not topic.startswith(root) or not slash or not NODE_ID.fullmatch(id_):
        return None
    return id_, rest


def may_answer_at(topic: str, node: str) -> bool:
    """Whether an answer may go to the topic that a request names.

    We may write where the node may not, so its own root and topics of nobody are all it can name.
    """
    if not 0 < len(topic) <= 256 or any(sign in topic for sign in "#+\0"):
        return False
    return topic.startswith(of_node(node, "")) or not topic.startswith(FOREIGN)
