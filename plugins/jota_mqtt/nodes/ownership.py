"""Which host serves which node, where several hosts share a broker.

A node stays with its host as long as that lives. When it is gone, the hosts that are left come to the
same answer without asking each other (rendezvous hashing), and the one that is meant says so with a
higher epoch. Whoever sees a higher epoch than its own has lost the node. See decision 9.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import blake2b

from ..wire.payloads import Owner

ALIVE_S = 6.0
"""A host that did not say so for this long is gone; its will usually tells sooner."""
BEAT_S = 2.0
LEASE_S = 300.0
"""What `until` promises a node; renewed in time."""


class Ownership:
    """What one host knows of all; `now` is the monotonic clock."""

    def __init__(self, me: str, now: Callable[[], float] = time.monotonic) -> None:
        self.me = me
        self._now = now
        self._beats: dict[str, float] = {}
        self._owners: dict[str, Owner] = {}
        self.is_settled = False
        """Whether everything that the broker keeps has been heard."""

    def heard_host(self, host: str, word: str) -> bool:
        """A host says that it is there, or was said to be gone; True when it has just gone."""
        was_alive = self.is_alive(host)
        if word == "online":
            self._beats[host] = self._now()
        else:
            self._beats.pop(host, None)
        return was_alive and not self.is_alive(host)

    def is_alive(self, host: str) -> bool:
        """Whether a host serves nodes now."""
        return host == self.me or self._now() - self._beats.get(host, float("-inf")) < ALIVE_S

    def forget_dead(self) -> bool:
        """Drop hosts that have fallen silent; True when there were any."""
        dead = [host for host in self._beats if not self.is_alive(host)]
        for host in dead:
            del self._beats[host]
        return bool(dead)

    def heard_owner(self, node: str, owner: Owner | None) -> bool:
        """What the broker says of a node's owner; True when this host has just lost it."""
        was_mine = self.is_mine(node)
        known = self._owners.get(node)
        if owner is None:
            self._owners.pop(node, None)
        elif known is None or (owner.epoch, owner.host) >= (known.epoch, known.host):
            self._owners[node] = owner
        return was_mine and not self.is_mine(node)

    def is_mine(self, node: str) -> bool:
        """Whether this host serves the node."""
        owner = self._owners.get(node)
        return owner is not None and owner.host == self.me

    def is_free(self, node: str) -> bool:
        """Whether nobody who lives serves the node."""
        owner = self._owners.get(node)
        return owner is None or not self.is_alive(owner.host)

    def is_meant(self, node: str) -> bool:
        """Whether this host, of all that live, is the one to take a free node."""
        alive = {self.me, *(host for host in self._beats if self.is_alive(host))}
        return max(alive, key=lambda host: _weight(host, node)) == self.me

    def claim(self, node: str) -> Owner:
        """Take a node; the result is to be published."""
        known = self._owners.get(node)
        epoch = 1 if known is None else known.epoch + (known.host != self.me)
        owner = self._owners[node] = Owner(host=self.me, epoch=epoch, until=round(time.time() + LEASE_S))
        return owner

    def mine(self) -> list[str]:
        """Every node that this host serves."""
        return [node for node, owner in self._owners.items() if owner.host == self.me]

    def orphans(self) -> list[str]:
        """Nodes whose host is gone and that this one is meant to take."""
        return [node for node in self._owners if self.is_free(node) and self.is_meant(node)]


def _weight(host: str, node: str) -> bytes:
    return blake2b(f"{host}/{node}".encode(), digest_size=8).digest()
